"""Bytes of clicks, starts and books: the only serialisation boundary. MessagePack, tagged and versioned; never pickle.

The first byte is the format (now 1); the record's kind is its tag. Unknown fields are ignored and new fields have
defaults, so that daemons of neighbouring versions read each other's spools.
"""

from uuid import UUID

import msgspec

from domain.attribution import ClickRef, Owner, Start
from domain.books import BookEntry
from domain.click import Click, Method
from domain.errors import RecordRejected

FORMAT = b"\x01"
MAX_RECORD = 32_000
Record = Click | Start | BookEntry


class _Click(msgspec.Struct, frozen=True, tag="c", omit_defaults=True, kw_only=True, array_like=False):
    id: bytes
    link_id: int
    node: int
    ad_key: bytes
    method: Method = "GET"
    params: dict[str, str] = {}
    referer_host: str = ""
    language: str = ""
    prefetch: str = ""
    visitor_key: bytes | None = None
    visitor_period: int | None = None
    fbclid_key: bytes | None = None
    sealed: bytes | None = None


class _Start(msgspec.Struct, frozen=True, tag="s", omit_defaults=True, kw_only=True):
    id: bytes
    bot_id: int
    telegram_id: int
    at_ms: int
    click_id: bytes | None = None
    link_id: int = 0
    node: int = 0
    ad_key: bytes = b""


class _Books(msgspec.Struct, frozen=True, tag="b", omit_defaults=True, kw_only=True):
    node: int
    boot: str
    minute: int
    issued: int = 0
    synced: int = 0
    written: int = 0
    token_only: int = 0
    visible: int = 0
    spooled: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Click | _Start | _Books).decode


def encode(record: Record) -> bytes:
    """Bytes of a record; RecordRejected above 32,000 bytes (diskcache would keep more outside its journal)."""
    try:
        raw = FORMAT + _encode(_to_wire(record))
    except (ValueError, OverflowError):
        raise RecordRejected("the record cannot be encoded") from None
    if len(raw) > MAX_RECORD:
        raise RecordRejected("the record is too large")
    return raw


def decode(raw: bytes) -> Record:
    """The record; RecordRejected for anything that `encode` did not make."""
    if raw[:1] != FORMAT:
        raise RecordRejected("unknown record format")
    try:
        return _from_wire(_decode(raw[1:]))
    except (msgspec.MsgspecError, ValueError):
        raise RecordRejected("the record is damaged") from None


def decode_click(raw: bytes) -> Click:
    """The click; RecordRejected for any other record."""
    record = decode(raw)
    if not isinstance(record, Click):
        raise RecordRejected("not a click")
    return record


def _to_wire(record: Record) -> _Click | _Start | _Books:
    match record:
        case Click():
            return _Click(
                id=record.id.bytes,
                link_id=record.link_id,
                node=record.node,
                ad_key=record.ad_key,
                method=record.method,
                params=dict(record.params),
                referer_host=record.referer_host,
                language=record.language,
                prefetch=record.prefetch,
                visitor_key=record.visitor_key,
                visitor_period=record.visitor_period,
                fbclid_key=record.fbclid_key,
                sealed=record.sealed,
            )
        case Start():
            click = record.click
            return _Start(
                id=record.id.bytes,
                bot_id=record.owner.bot_id,
                telegram_id=record.owner.telegram_id,
                at_ms=record.at_ms,
                click_id=click.id.bytes if click else None,
                link_id=click.link_id if click else 0,
                node=click.node if click else 0,
                ad_key=click.ad_key if click else b"",
            )
        case BookEntry():
            return _Books(**{name: getattr(record, name) for name in _Books.__struct_fields__})


def _from_wire(wire: _Click | _Start | _Books) -> Record:
    match wire:
        case _Click():
            return Click(
                id=UUID(bytes=wire.id),
                link_id=wire.link_id,
                node=wire.node,
                ad_key=wire.ad_key,
                method=wire.method,
                params=wire.params,
                referer_host=wire.referer_host,
                language=wire.language,
                prefetch=wire.prefetch,
                visitor_key=wire.visitor_key,
                visitor_period=wire.visitor_period,
                fbclid_key=wire.fbclid_key,
                sealed=wire.sealed,
            )
        case _Start():
            return Start(
                id=UUID(bytes=wire.id),
                owner=Owner(bot_id=wire.bot_id, telegram_id=wire.telegram_id),
                at_ms=wire.at_ms,
                click=_ref(wire),
            )
        case _Books():
            return BookEntry(**{name: getattr(wire, name) for name in _Books.__struct_fields__})


def _ref(wire: _Start) -> ClickRef | None:
    if wire.click_id is None:
        return None
    return ClickRef(id=UUID(bytes=wire.click_id), link_id=wire.link_id, node=wire.node, ad_key=wire.ad_key)
