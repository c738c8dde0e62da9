"""Bot API updates into what is known of them, and answers into methods."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.bot_api import MAX_TELEGRAM_ID, NotAnUpdate, method_of, read_update
from bot.incoming import Blocking, Incoming, Outgoing, Person
from domain.links import Bot, Button

BOT = Bot(id=3, username="shop_bot")


def message(text: str | None = "/start abc", **changes: Any) -> dict[str, Any]:
    """A message as Telegram sends it, with much that is not read."""
    sender = {"id": 42, "is_bot": False, "first_name": "Ana", "language_code": "pt-br", "is_premium": True}
    made = {
        "message_id": 77,
        "from": sender,
        "chat": {"id": 42, "first_name": "Ana", "type": "private"},
        "date": 1_800_000_000,
        "text": text,
        "entities": [{"offset": 0, "length": 6, "type": "bot_command"}],
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def member(status: str, **changes: Any) -> dict[str, Any]:
    return {
        "chat": {"id": 42, "type": "private"},
        "from": {"id": 42, "is_bot": False, "first_name": "Ana"},
        "date": 1_800_000_000,
        "old_chat_member": {"user": {"id": 9, "is_bot": True}, "status": "member"},
        "new_chat_member": {"user": {"id": 9, "is_bot": True}, "status": status},
    } | changes


def read(**update: Any) -> Incoming | Blocking | None:
    return read_update(json.dumps({"update_id": 5, **update}).encode(), BOT)


def test_a_private_text_is_read_with_its_person_and_its_message_id() -> None:
    person = Person(telegram_id=42, first_name="Ana", language="pt-br")
    assert read(message=message()) == Incoming(
        bot=BOT, person=person, message_id=77, text="/start abc", sent_ms=1_800_000_000_000
    )


def test_what_telegram_may_leave_out_is_empty() -> None:
    found = read(message=message(**{"from": {"id": 42}}))
    assert isinstance(found, Incoming)
    assert found.person == Person(telegram_id=42)


def test_names_and_languages_are_cropped() -> None:
    sender = {"id": 42, "first_name": "😀" * 1000, "language_code": "x" * 1000}
    found = read(message=message(**{"from": sender}))
    assert isinstance(found, Incoming)
    assert (found.person.first_name, found.person.language) == ("😀" * 64, "x" * 35)


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"edited_message": message()},
        {"channel_post": message()},
        {"business_message": message()},
        {"callback_query": {"id": "1", "from": {"id": 42}}},
        {"a_kind_of_next_year": {"x": [1, 2]}},
        {"message": message(chat={"id": -100, "type": "supergroup"})},
        {"message": message(chat={"id": -5, "type": "group"})},
        {"message": message(chat={"id": -100, "type": "channel"})},
        {"message": message(chat={"id": 42, "type": "group"})},
        {"message": message(chat={"id": 43, "type": "private"})},
        {"message": message(**{"from": {"id": 42, "is_bot": True}})},
        {"message": message(**{"from": None})},
        {"message": message(text=None)},
        {"message": message(message_id=0)},
        {"message": message(message_id=2**63)},
        {"message": message(message_id=-1)},
        {"message": message(message_id="77")},
        {"message": message(message_id=True)},
        {"message": message(message_id=7.0)},
        {"message": "text"},
        {"message": []},
        {"message": None},
        {"my_chat_member": member("administrator")},
        {"my_chat_member": member("kicked", chat={"id": -100, "type": "channel"})},
        {"my_chat_member": member("kicked", date=-1)},
        {"my_chat_member": member("kicked", date=2**62)},
        {"my_chat_member": member("kicked", new_chat_member=None)},
    ],
)
def test_what_is_no_text_of_a_person_to_the_bot_is_nothing(update: dict[str, Any]) -> None:
    assert read(**update) is None


@pytest.mark.parametrize("telegram_id", [0, -1, MAX_TELEGRAM_ID + 1, 2**63, 2**64, 7.5, "42", True, None])
def test_an_id_that_no_person_has_is_nobodys(telegram_id: Any) -> None:
    changes = {"from": {"id": telegram_id}, "chat": {"id": telegram_id, "type": "private"}}
    assert read(message=message(**changes)) is None
    assert read(my_chat_member=member("kicked", **changes)) is None


def test_the_largest_id_of_a_person_is_taken() -> None:
    changes = {"from": {"id": MAX_TELEGRAM_ID}, "chat": {"id": MAX_TELEGRAM_ID, "type": "private"}}
    found = read(message=message(**changes))
    assert isinstance(found, Incoming)
    assert found.person.telegram_id == MAX_TELEGRAM_ID


@pytest.mark.parametrize(("status", "blocked"), [("kicked", True), ("member", False)])
def test_blocking_the_bot_and_taking_it_back_are_told_with_their_time(status: str, blocked: bool) -> None:
    change = Blocking(bot=BOT, telegram_id=42, blocked=blocked, at_ms=1_800_000_000_000)
    assert read(my_chat_member=member(status)) == change


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"message": {"text": "\xff"}}',
        b'{"message": {"text": "\\ud800"}}',
        b'{"message": {"text": "\\udc00\\ud800"}}',
        b'{"message": {"text": "\xed\xa0\x80"}}',
        b'{"a":' * 50_000,
        b"[" * 200_000,
        b'{"a": NaN}',
        b"{} {}",
    ],
    ids=lambda raw: repr(raw[:30]),
)
def test_what_is_no_json_object_is_no_update(raw: bytes) -> None:
    with pytest.raises(NotAnUpdate):
        read_update(raw, BOT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [("message", name) for name in message()] + [("my_chat_member", name) for name in member("kicked")]
)


@given(place=PLACES, value=JSON, raw=st.none() | st.binary(max_size=40))
@example(place=("message", "from"), value={"id": 42, "first_name": None}, raw=None)
@example(place=("message", "text"), value="\x00", raw=b'{"message":{}}')
def test_whatever_stands_where_nothing_raises_but_not_an_update(
    place: tuple[str, str], value: Any, raw: bytes | None
) -> None:
    kind, name = place
    base = message() if kind == "message" else member("kicked")
    update = {kind: base | {name: value}}
    with suppress(NotAnUpdate):
        found = read_update(json.dumps(update).encode(), BOT)
        assert found is None or isinstance(found, Incoming | Blocking)
        read_update(raw or b"{}", BOT)


def test_an_answer_is_a_plain_message_to_the_person() -> None:
    assert method_of(Outgoing(text="Olá <b>"), telegram_id=42) == {
        "method": "sendMessage",
        "chat_id": 42,
        "text": "Olá <b>",
    }


def test_a_picture_has_the_text_below_it_and_buttons_stand_in_rows() -> None:
    buttons = (Button(text="A", url="https://a.example"), Button(text="B", url="https://b.example"))
    outgoing = Outgoing(text="Hi", photo_url="https://p.example/x.jpg", buttons=buttons)
    assert method_of(outgoing, telegram_id=42) == {
        "method": "sendPhoto",
        "chat_id": 42,
        "photo": "https://p.example/x.jpg",
        "caption": "Hi",
        "reply_markup": {
            "inline_keyboard": [
                [{"text": "A", "url": "https://a.example"}],
                [{"text": "B", "url": "https://b.example"}],
            ]
        },
    }
