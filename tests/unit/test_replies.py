"""What a bot answers: the person's language, the link's words, and nothing that Telegram would refuse."""

from __future__ import annotations

import pytest

from bot.incoming import Person
from bot.replies import MAX_CAPTION, MAX_TEXT, reply_to, valid_template
from domain.click import Ad
from domain.errors import ConfigError
from domain.links import Bot, Button, Greeting, Link, Member

ANA = Person(telegram_id=42, first_name="Ana", language="pt-br")
AD = Ad(source="fb", campaign="Verão|1202", medium="", content="Vídeo 3|77", term="feed")


def link(*greetings: Greeting) -> Link:
    return Link(
        id=1, slug="p", name="P", pool=(Member(bot=Bot(id=1, username="ana_bot")),), greetings=greetings
    )


@pytest.mark.parametrize(
    ("language", "begins"), [("pt-br", "Olá"), ("pt", "Olá"), ("", "Olá"), ("en", "Hello"), ("de", "Hello")]
)
def test_without_a_greeting_of_the_link_ours_is_in_the_persons_language(language, begins):
    person = Person(telegram_id=42, first_name="Ana", language=language)
    assert reply_to(person, None, None).text.startswith(begins)
    assert "Ana" in reply_to(person, link(), None).text


@pytest.mark.parametrize(
    ("language", "expected"),
    [("pt-br", "BR"), ("pt-pt", "PT"), ("en-gb", "EN"), ("fr", "EN"), ("", "PT")],
)
def test_the_most_fitting_greeting_of_the_link_is_taken(language, expected):
    said = link(
        Greeting(language="en", text="EN"),
        Greeting(language="pt", text="PT"),
        Greeting(language="pt-br", text="BR"),
    )
    assert reply_to(Person(telegram_id=1, language=language), said, None).text == expected


def test_fields_are_filled_with_the_name_of_an_ad_and_not_its_id():
    said = link(Greeting(language="pt", text="{name}: {campaign}, {content}, {medium}!"))
    assert reply_to(ANA, said, AD).text == "Ana: Verão, Vídeo 3, !"


def test_what_is_not_known_is_empty_and_an_empty_text_is_ours():
    said = link(Greeting(language="pt", text=" {term} "))
    assert reply_to(ANA, said, AD).text == "feed"
    assert reply_to(ANA, said, None).text.startswith("Olá, Ana")


def test_braces_and_percents_in_a_persons_name_are_only_text():
    person = Person(telegram_id=42, first_name="{campaign} %s {0.__class__}")
    said = link(Greeting(language="pt", text="{name}"))
    assert reply_to(person, said, AD).text == "{campaign} %s {0.__class__}"


def test_texts_fit_into_a_message_and_below_a_picture():
    long = "x" * (MAX_TEXT - 6) + "{name}"
    person = Person(telegram_id=42, first_name="A" * 500)
    assert len(reply_to(person, link(Greeting(language="pt", text=long)), None).text) == MAX_TEXT
    pictured = Greeting(language="pt", text="y" * MAX_CAPTION + "{name}", photo_url="https://a.b/c.jpg")
    assert len(reply_to(person, link(pictured), None).text) == MAX_CAPTION


def test_buttons_and_the_picture_are_the_greetings_own():
    button = Button(text="Loja", url="https://loja.example")
    said = link(Greeting(language="pt", text="oi", buttons=(button,), photo_url="https://a.b/c.jpg"))
    found = reply_to(ANA, said, None)
    assert (found.buttons, found.photo_url) == ((button,), "https://a.b/c.jpg")


@pytest.mark.parametrize("text", ["Oi, {name}!", "{source} {campaign} {medium} {content} {term}", "{{}}"])
def test_a_template_with_known_fields_is_taken(text):
    assert valid_template(text, with_photo=False) == text


@pytest.mark.parametrize(
    "text",
    ["", "{", "}", "{}", "{0}", "{fbclid}", "{name.__class__}", "{name!r}", "{name:>9999999}", "x" * 4097],
)
def test_any_other_template_is_refused_in_words(text):
    with pytest.raises(ConfigError):
        valid_template(text, with_photo=False)


def test_below_a_picture_there_is_less_room():
    with pytest.raises(ConfigError, match="below a picture"):
        valid_template("x" * (MAX_CAPTION + 1), with_photo=True)


def test_telegram_counts_an_emoji_as_two_and_none_is_cut_in_half():
    person = Person(telegram_id=42, first_name="🙂" * 60)
    found = reply_to(person, link(Greeting(language="pt", text="x" * 4095 + "{name}")), None).text
    assert found == "x" * 4095
    with pytest.raises(ConfigError):
        valid_template("🙂" * 2049, with_photo=False)
    assert valid_template("🙂" * 2048, with_photo=False)
