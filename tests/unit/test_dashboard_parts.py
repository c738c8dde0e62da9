"""Parts of the dashboard without a server: limits, texts, formats, forms, languages, what needs attention."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from analytics.attention import matters
from analytics.figures.books import PeriodBooks, Waiting
from analytics.web.assets import load_assets
from analytics.web.failures import trace
from analytics.web.formats import Formats
from analytics.web.forms import path_of_ours
from analytics.web.limits import FORGIVEN_AFTER, LONGEST_WAIT, MOST_KEYS, Limits, address_key
from analytics.web.page import MENU
from analytics.web.render import to_json
from analytics.web.sessions import form_token, is_form_token
from analytics.web.texts import LANGUAGES, load_texts, preferred
from domain.conversions import LaneStatus
from domain.errors import ConfigError
from domain.links import Bot, Catalog, Link, Member
from domain.users import ROLES, valid_user_name
from privacy.passwords import Passwords, valid_password

SP = ZoneInfo("America/Sao_Paulo")
EN, PT = Formats(language="en", zone=SP), Formats(language="pt", zone=SP)
BOOKS = PeriodBooks(
    issued=10, synced=10, written=0, token_only=0, visible=10, spooled=10, in_rollups=10, to_fold=0,
    waiting=Waiting(clicks=0, starts=0, events=0),
)  # fmt: skip


# ---------------------------------------------------------------- limits


def test_five_tries_are_free_and_each_further_one_costs_twice_as_long() -> None:
    limits, now, waits = Limits(), 0.0, []
    for _ in range(5):
        assert limits.begin(now, "a") == 0
    for _ in range(4):
        waits.append(limits.begin(now, "a"))
        now += waits[-1]
        assert limits.begin(now, "a") == 0
    assert waits == [2, 4, 8, 16]


def test_no_wait_is_longer_than_15_minutes() -> None:
    limits, now = Limits(), 0.0
    for _ in range(40):
        now += limits.begin(now, "a")
        limits.begin(now, "a")
    assert limits.begin(now, "a") == LONGEST_WAIT


def test_asking_while_one_has_to_wait_does_not_lengthen_it() -> None:
    limits = Limits()
    for _ in range(5):
        limits.begin(0, "a")
    assert [limits.begin(1, "a") for _ in range(50)] == [1] * 50


def test_success_and_an_hour_without_a_try_forgive() -> None:
    limits = Limits()
    for _ in range(5):
        limits.begin(0, "a", "b")
    limits.succeed("a")
    assert (limits.begin(0, "a"), limits.begin(0, "b")) == (0, 2)
    assert limits.begin(FORGIVEN_AFTER + 1, "b") == 0


def test_tries_of_any_number_of_names_fill_no_memory() -> None:
    limits = Limits()
    for number in range(MOST_KEYS + 100):
        limits.begin(0, str(number))
    assert len(limits._tries) == MOST_KEYS


def test_addresses_of_one_ipv6_customer_are_one() -> None:
    assert (
        address_key("2001:db8:1:2::1")
        == address_key("2001:db8:1:2:ffff::9")
        != address_key("2001:db8:1:3::1")
    )
    assert address_key("192.0.2.1") != address_key("192.0.2.2")


# ---------------------------------------------------------------- texts


def test_every_text_is_there_in_each_language_with_the_same_values() -> None:
    import string

    texts = load_texts()
    for key, said in texts.by_key.items():
        fields = [
            {name for _, name, _, _ in string.Formatter().parse(said[each]) if name} for each in LANGUAGES
        ]
        assert fields[0] == fields[1], key
        assert all(said[each].strip() for each in LANGUAGES), key
    assert all(f"menu.{key}" in texts for key in MENU)
    assert all(f"role.{role}" in texts for role in ROLES)


def test_a_text_that_lacks_a_language_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[a]\nb = { en = "x" }\n')
    with pytest.raises(ConfigError, match=r"a\.b"):
        load_texts(tmp_path)


def test_a_key_that_two_files_have_is_an_error_at_the_start(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.toml").write_text('[a]\nb = { en = "x", pt = "x" }\n')
    with pytest.raises(ConfigError, match=r"a\.b"):
        load_texts(tmp_path)


@pytest.mark.parametrize(
    ("header", "language"),
    [("", "en"), ("pt-BR,pt;q=0.9,en;q=0.8", "pt"), ("en-GB, pt;q=0.9", "en"), ("de, PT;q=0.1", "pt"), ("de", "en"), ("pt;q=0", "en"), ("pt;q=x, en", "en"), (";;;,,q=", "en")],
)  # fmt: skip
def test_the_browsers_first_language_that_is_ours_is_taken(header: str, language: str) -> None:
    assert preferred(header) == language


# ---------------------------------------------------------------- formats


def test_figures_are_written_as_each_language_writes_them() -> None:
    assert (EN.number(1234567), PT.number(1234567)) == ("1,234,567", "1.234.567")
    assert (EN.percent(0.1234), PT.percent(0.1234)) == ("12.3%", "12,3%")
    assert PT.money(1_234_560_000, "BRL") == "R$\u00a01.234,56"
    assert EN.money(1_234_560_000, "CLP") == "CLP\u00a01,235"
    assert (EN.change(0.5), EN.change(-0.034), EN.change(0.001)) == ("+50%", "−3%", "±0%")
    assert {EN.number(None), EN.percent(None), EN.money(None, "BRL"), EN.span(None), EN.moment(None)} == {"–"}


def test_moments_are_the_operators_and_say_so() -> None:
    assert EN.moment(1_800_000_000_000) == (
        '<time datetime="2027-01-15T08:00:00.000Z" title="America/Sao_Paulo">15 Jan 2027 05:00:00</time>'
    )
    assert (EN.day(20261127), PT.day(20261127)) == ("27 Nov 2026", "27/11/2026")


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0 ms"), (850, "850 ms"), (1000, "1 s"), (200_000, "3 min 20 s"), (3_600_000, "1 h"), (3_601_000, "1 h"), (187_200_000, "2 d 4 h")],
)  # fmt: skip
def test_spans_have_their_two_largest_units(milliseconds: int, text: str) -> None:
    assert EN.span(milliseconds) == text


@pytest.mark.parametrize(
    ("clause", "line"),
    [
        ("no API key yet", "No API key yet"),
        ("ad: utm_source FB", "Ad: utm_source FB"),
        ("o link não tem pixel", "O link não tem pixel"),
        ("é a vez dele", "É a vez dele"),
        ("trilha link edit promo --pixel ID", "trilha link edit promo --pixel ID"),
        ("fbclid: yes", "fbclid: yes"),
        ("token_only: no store has it", "token_only: no store has it"),
        ("@loja_bot: well", "@loja_bot: well"),
        ("", ""),
    ],
)
def test_a_clause_begins_with_a_capital_unless_it_begins_with_a_name(clause: str, line: str) -> None:
    assert EN.sentence(clause) == line


def test_a_word_without_a_text_is_said_as_it_is() -> None:
    texts = load_texts()
    assert texts.word("pt", "links.health", "banned") == "banido"
    assert texts.word("pt", "links.health", "frozen") == "frozen"


def test_of_an_error_its_causes_and_places_are_told_and_no_words() -> None:
    def parse() -> None:
        int("secret")

    try:
        try:
            parse()
        except ValueError as cause:
            raise KeyError("secret") from cause
    except KeyError as error:
        told = trace(error)
    assert [line.partition(":")[0] for line in told] == [
        "test_dashboard_parts.py", "test_dashboard_parts.py", "ValueError", "test_dashboard_parts.py", "KeyError",
    ]  # fmt: skip
    assert "secret" not in str(told)


def test_data_of_a_chart_cannot_end_its_block() -> None:
    assert to_json({"a": "</script><!--&"}) == '{"a":"\\u003c/script\\u003e\\u003c!--\\u0026"}'


# ---------------------------------------------------------------- forms, names, passwords


def test_a_forms_token_is_its_sessions_alone() -> None:
    assert is_form_token("secret", form_token("secret"))
    assert not is_form_token("other", form_token("secret"))
    assert not is_form_token("", form_token(""))
    assert not is_form_token("secret", "é")


@pytest.mark.parametrize("path", ["/", "/links?period=7d", "/links/promo"])
def test_paths_of_ours_are_gone_on_to(path: str) -> None:
    assert path_of_ours(path) == path


@pytest.mark.parametrize("path", ["//x", "/\\x", "http://x", "x", "", "/a\nb", "/" + "a" * 3000])
def test_nothing_else_is(path: str) -> None:
    assert path_of_ours(path) == "/"


@pytest.mark.parametrize("name", ["", " ", "a b", "<b>", "-a", "a" * 65, "a\n", "ação"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        valid_user_name(name)


@pytest.mark.parametrize("password", ["", "a" * 11, "a" * 1025])
def test_a_password_has_12_to_1024_characters(password: str) -> None:
    with pytest.raises(ConfigError):
        valid_password(password)
    assert valid_password("a" * 12)


async def test_a_hash_is_argon2id_and_its_own_passwords_alone() -> None:
    passwords = Passwords()
    hashed = await passwords.hash("correct horse battery")
    assert hashed.startswith("$argon2id$")
    assert await passwords.matches("correct horse battery", hashed)
    assert not await passwords.matches("Correct horse battery", hashed)
    assert not await passwords.matches("nobody", None)
    assert not await passwords.matches("x", "not a hash")


def test_assets_are_addressed_by_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a")
    before = load_assets(tmp_path).url("a.css")
    (tmp_path / "a.css").write_text("b")
    assert load_assets(tmp_path).url("a.css") != before
    with pytest.raises(KeyError):
        load_assets(tmp_path).url("b.css")


# ---------------------------------------------------------------- attention


def found(**changes: object) -> list[tuple[str, str]]:
    asked = {
        "lanes": [],
        "catalog": Catalog(version=1),
        "books": BOOKS,
        "closed_books": BOOKS,
        "alerts": [],
        "now_ms": 10_000_000,
    }
    return [(matter.kind, matter.text) for matter in matters(**(asked | changes))]


def books(**changes: int) -> PeriodBooks:
    from dataclasses import replace

    return replace(BOOKS, **changes)


def test_nothing_needs_attention_when_nothing_is_wrong() -> None:
    lanes = [
        LaneStatus(lane="meta/1", pending=3, oldest_at_ms=9_999_000),
        LaneStatus(lane="", pending=9, oldest_at_ms=0),
    ]
    assert found(lanes=lanes) == []


def test_what_is_wrong_is_found_worst_first() -> None:
    bot = Bot(id=1, username="some_bot", health="banned")
    link = Link(id=1, slug="promo", name="", pool=(Member(bot=bot),))
    lanes = [
        LaneStatus(lane="meta/1", pending=1, oldest_at_ms=1),
        LaneStatus(lane="meta/2", held_at_ms=1, hold_reason="x"),
    ]
    assert found(
        lanes=lanes,
        catalog=Catalog(version=1, links=(link,), bots=(bot,)),
        alerts=[SimpleNamespace(rule="r", subject="s")],
        closed_books=books(in_rollups=9),
        books=books(synced=9000, issued=9000, waiting=Waiting(clicks=9000, starts=0, events=0)),
    ) == [
        ("bad", "alert"), ("bad", "books"), ("bad", "held"), ("bad", "bot"), ("bad", "no_bot"),
        ("warning", "spools"), ("warning", "changes"), ("warning", "late"),
    ]  # fmt: skip


def test_a_paused_link_needs_no_bot() -> None:
    link = Link(id=1, slug="promo", name="", pool=(), paused=True)
    assert found(catalog=Catalog(version=1, links=(link,))) == []
