"""Telegram's objects, as the server writes them. The one file that minds which layer the library speaks."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import cache
from typing import Any

from pyrogram import raw
from pyrogram.raw.core import Bool, Vector

from tests.telegram.account import BotSide, Group, Person
from tests.telegram.wire import Written

DATA_CENTRES = (1, 2, 3, 4, 5)
A_DAY = 86400
NEUTRAL = {"int": 0, "str": "", "bool": False, "bytes": b"", "float": 0.0}


@cache
def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    return {
        name: parameter
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        if name != "self"
    }


def make(kind: Any, **known: Any) -> Any:
    """One object: fields that this layer lacks are left out, required ones that are not given are empty."""
    fields = {}
    for name, parameter in _parameters(kind).items():
        if name in known:
            fields[name] = known[name]
        elif parameter.default is inspect.Parameter.empty:
            fields[name] = _neutral(parameter.annotation)
    return kind(**fields)


def _neutral(annotation: Any) -> Any:
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return NEUTRAL.get(name, [] if "ist[" in str(annotation) else None)


def vector(items: Iterable[Any]) -> Written:
    """A bare list as an answer."""
    return Written(bytes(Vector(list(items))))


def true() -> Written:
    """Yes, as an answer."""
    return Written(bytes(Bool(True)))


def error(code: int, name: str) -> Any:
    """A refusal."""
    return raw.types.RpcError(error_code=code, error_message=name)


def config(host: str, port: int, now: int) -> Any:
    """Where the data centres are: all of them here."""
    return make(
        raw.types.Config,
        date=now,
        expires=now + A_DAY,
        test_mode=False,
        this_dc=2,
        dc_options=[make(raw.types.DcOption, id=dc, ip_address=host, port=port) for dc in DATA_CENTRES],
        me_url_prefix="https://t.me/",
        message_length_max=4096,
        caption_length_max=1024,
    )


def own_user(bot: BotSide) -> Any:
    """A bot as it sees itself."""
    return make(
        raw.types.User,
        id=bot.id,
        is_self=True,
        bot=True,
        access_hash=bot.id + 1,
        first_name=bot.username,
        username=bot.username,
        bot_info_version=1,
    )


def user(person: Person, bot: BotSide) -> Any:
    """A person as a bot sees them."""
    return make(
        raw.types.User,
        id=person.id,
        access_hash=person.access_hash(bot.id),
        first_name=person.name,
        lang_code=person.language,
        premium=person.premium or None,
    )


def full_user(bot: BotSide) -> Any:
    """All about a bot itself."""
    about = make(
        raw.types.UserFull,
        id=bot.id,
        settings=make(raw.types.PeerSettings),
        notify_settings=make(raw.types.PeerNotifySettings),
    )
    return raw.types.users.UserFull(full_user=about, chats=[], users=[own_user(bot)])


def chat(group: Group, now: int) -> Any:
    """A basic group."""
    return make(
        raw.types.Chat,
        id=group.id,
        title=group.title,
        photo=raw.types.ChatPhotoEmpty(),
        participants_count=2,
        date=now,
        version=1,
    )


def message(
    *, number: int, peer: Any, sender: Any, text: str, now: int, out: bool = False, media: Any = None
) -> Any:
    """A message of a private chat or a group. A leading command is marked as one."""
    length = len(text.split(maxsplit=1)[0]) if text.startswith("/") else 0
    command = [raw.types.MessageEntityBotCommand(offset=0, length=length)] if length else None
    return make(
        raw.types.Message,
        id=number,
        peer_id=peer,
        from_id=sender,
        date=now,
        message=text,
        out=out or None,
        entities=command,
        media=media,
    )


def media(request_media: Any, number: int, now: int) -> Any:
    """What stands in a message for a photo or document that a bot named by its URL."""
    if isinstance(request_media, raw.types.InputMediaPhotoExternal):
        size = raw.types.PhotoSize(type="m", w=320, h=320, size=1024)
        photo = make(
            raw.types.Photo,
            id=number,
            access_hash=number,
            file_reference=b"photo",
            date=now,
            sizes=[size],
            dc_id=2,
        )
        return make(raw.types.MessageMediaPhoto, photo=photo)
    if isinstance(request_media, raw.types.InputMediaDocumentExternal):
        name = raw.types.DocumentAttributeFilename(file_name=request_media.url.rpartition("/")[2])
        document = make(
            raw.types.Document,
            id=number,
            access_hash=number,
            file_reference=b"document",
            date=now,
            mime_type="application/octet-stream",
            size=1024,
            dc_id=2,
            attributes=[name],
        )
        return make(raw.types.MessageMediaDocument, document=document)
    return None


def state(bot: BotSide, now: int, *, pts: int | None = None) -> Any:
    """How far a bot's logs are, or a slice of them."""
    return raw.types.updates.State(
        pts=bot.pts if pts is None else pts, qts=bot.qts, date=now, seq=0, unread_count=0
    )


def updates(bot: BotSide, found: list[Any], now: int) -> Any:
    """Updates with everybody and every group that they speak of."""
    return raw.types.Updates(
        updates=found, users=users_in(bot, found), chats=chats_in(bot, found, now), date=now, seq=0
    )


def users_in(bot: BotSide, found: list[Any]) -> list[Any]:
    """Everybody that updates speak of."""
    ids = {number for update in found for number in _user_ids(update)}
    return [own_user(bot) if number == bot.id else user(bot.people[number], bot) for number in sorted(ids)]


def chats_in(bot: BotSide, found: list[Any], now: int) -> list[Any]:
    """Every group that updates speak of."""
    peers = [update.message.peer_id for update in found if hasattr(update, "message")]
    ids = {peer.chat_id for peer in peers if isinstance(peer, raw.types.PeerChat)}
    return [chat(bot.groups[number], now) for number in sorted(ids)]


def _user_ids(update: Any) -> Iterable[int]:
    if hasattr(update, "message"):
        for peer in (update.message.peer_id, update.message.from_id):
            if isinstance(peer, raw.types.PeerUser):
                yield peer.user_id
    elif hasattr(update, "user_id"):
        yield update.user_id


def short_message(update: Any) -> Any:
    """A new message in the form without users."""
    return make(
        raw.types.UpdateShortMessage,
        id=update.message.id,
        user_id=update.message.peer_id.user_id,
        message=update.message.message,
        pts=update.pts,
        pts_count=update.pts_count,
        date=update.message.date,
        entities=update.message.entities,
    )


def is_private_message(update: Any) -> bool:
    """A new message of a private chat."""
    return isinstance(update, raw.types.UpdateNewMessage) and isinstance(
        update.message.peer_id, raw.types.PeerUser
    )
