"""The Bot API's JSON, both ways: an update into what we know of it, an answer into the method that sends it. Pure.

Message ids are the same in the Bot API and in MTProto, so that a start is one start whichever way it came.
"""

from typing import Any

import msgspec

from bot.associate import MAX_TELEGRAM_ID
from bot.incoming import Blocking, Incoming, Outgoing, Person
from domain.errors import TrilhaError
from domain.links import Bot

MAX_MESSAGE_ID = 2**63 - 1
MAX_SECONDS = 2**40
PRIVATE = "private"
# What a person becomes to a bot by blocking it, and by taking that back.
_BLOCKED = {"kicked": True, "member": False}


class NotAnUpdate(TrilhaError):
    """The body is no JSON object."""


class _Chat(msgspec.Struct, frozen=True):
    id: int
    type: str


class _User(msgspec.Struct, frozen=True):
    id: int
    is_bot: bool = False
    first_name: str = ""
    language_code: str | None = None


class _Message(msgspec.Struct, frozen=True):
    message_id: int
    chat: _Chat
    sender: _User | None = msgspec.field(name="from", default=None)
    text: str | None = None
    date: int = 0


class _Member(msgspec.Struct, frozen=True):
    status: str


class _MemberChange(msgspec.Struct, frozen=True):
    chat: _Chat
    date: int
    sender: _User | None = msgspec.field(name="from", default=None)
    new_chat_member: _Member | None = None


class _Update(msgspec.Struct, frozen=True):
    message: _Message | None = None
    my_chat_member: _MemberChange | None = None


def read_update(raw: bytes, bot: Bot) -> Incoming | Blocking | None:
    """A text of a person in a private chat, or a block; None for all else that Telegram may send. Raises NotAnUpdate.

    What is JSON and not as the Bot API describes it is None too: an answer other than 2xx would bring it again.
    """
    try:
        found = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        raise NotAnUpdate("the body is not JSON") from None
    if not isinstance(found, dict):
        raise NotAnUpdate("the body is not a JSON object")
    try:
        update = msgspec.convert(found, type=_Update)
    except msgspec.ValidationError:
        return None
    if update.message is not None:
        return _incoming(update.message, bot)
    return _blocking(update.my_chat_member, bot) if update.my_chat_member else None


def method_of(outgoing: Outgoing, *, telegram_id: int) -> dict[str, Any]:
    """The method, with its parameters, that Telegram carries out when it is the answer to a webhook's call."""
    if outgoing.photo_url is None:
        method = {"method": "sendMessage", "chat_id": telegram_id, "text": outgoing.text}
    else:
        method = {
            "method": "sendPhoto",
            "chat_id": telegram_id,
            "photo": outgoing.photo_url,
            "caption": outgoing.text,
        }
    if not outgoing.buttons:
        return method
    rows = [[{"text": button.text, "url": button.url}] for button in outgoing.buttons]
    return method | {"reply_markup": {"inline_keyboard": rows}}


def _incoming(message: _Message, bot: Bot) -> Incoming | None:
    sender = _person_in(message.chat, message.sender)
    if sender is None or message.text is None or not 0 < message.message_id <= MAX_MESSAGE_ID:
        return None
    person = Person.told(sender.id, first_name=sender.first_name, language=sender.language_code)
    return Incoming(
        bot=bot,
        person=person,
        message_id=message.message_id,
        text=message.text,
        sent_ms=message.date * 1000 if 0 < message.date < MAX_SECONDS else None,
    )


def _blocking(change: _MemberChange, bot: Bot) -> Blocking | None:
    sender = _person_in(change.chat, change.sender)
    blocked = _BLOCKED.get(change.new_chat_member.status) if change.new_chat_member else None
    if sender is None or blocked is None or not 0 < change.date < MAX_SECONDS:
        return None
    return Blocking(bot=bot, telegram_id=sender.id, blocked=blocked, at_ms=change.date * 1000)


def _person_in(chat: _Chat, sender: _User | None) -> _User | None:
    """Who writes in a private chat, which has the person's id; None for bots, for other chats and for ids of none."""
    if sender is None or sender.is_bot or chat.type != PRIVATE or chat.id != sender.id:
        return None
    return sender if 0 < sender.id <= MAX_TELEGRAM_ID else None
