"""Bytes of clicks, tombstones, starts, conversions and books: the only serialisation boundary. MessagePack, tagged and versioned; never pickle.

The first byte is the format (now 2); the record follows as an array whose first item is its kind. Fields are only ever
appended, with defaults, and unknown ones at the end are ignored, so that daemons of neighbouring versions read each
other's spools. A record of a kind that a daemon does not know is to it as one that is damaged: it is set aside, not lost.

Many records of one commit lie together in a batch: its own format byte, then for each record its length, its CRC-32
and its bytes. Whatever was torn or flipped is told apart from what was not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID
from zlib import crc32

import msgspec

from domain.attribution import ClickRef, Owner, Start
from domain.books import BookEntry
from domain.click import Click, Tombstone
from domain.conversions import Conversion, Money
from domain.errors import RecordRejected

FORMAT = b"\x02"
BATCH_FORMAT = b"\x81"
MAX_RECORD = 32_000
Record = Click | Tombstone | Start | BookEntry | Conversion
_FRAME = Struct(">II")


class Packed(NamedTuple):
    """A click with its bytes: encoded once, for every store that takes it."""

    click: Click
    raw: bytes


class _Start(msgspec.Struct, frozen=True, tag="s", array_like=True):
    id: UUID
    bot_id: int
    telegram_id: int
    at_ms: int
    click_id: UUID | None
    link_id: int
    node: int
    ad_key: bytes


class _Conversion(msgspec.Struct, frozen=True, tag="v", array_like=True):
    id: UUID
    event: str
    at_ms: int
    bot_id: int
    telegram_id: int | None
    click_id: UUID | None
    link_id: int
    node: int
    ad_key: bytes
    order_id: str | None
    micros: int | None
    currency: str
    custom: dict[str, Any]
    person: dict[str, tuple[str, ...]]


class _Tombstone(msgspec.Struct, frozen=True, tag="t", array_like=True):
    click_id: UUID


class _Books(msgspec.Struct, frozen=True, tag="b", array_like=True):
    node: int
    boot: str
    minute: int
    issued: int
    synced: int
    written: int
    token_only: int
    visible: int
    spooled: int


_encode = msgspec.msgpack.Encoder(uuid_format="bytes").encode
_decode = msgspec.msgpack.Decoder(Click | _Tombstone | _Start | _Books | _Conversion).decode


def pack(click: Click) -> Packed:
    """The click with its bytes; RecordRejected as `encode`."""
    return Packed(click, encode(click))


def encode(record: Record) -> bytes:
    """Bytes of a record; RecordRejected above 32,000 bytes (one visitor must not fill a spool)."""
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


def encode_batch(records: Iterable[bytes]) -> bytes:
    """Encoded records as one piece of bytes."""
    parts = [BATCH_FORMAT]
    for raw in records:
        parts += (_FRAME.pack(len(raw), crc32(raw)), raw)
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What could be read of an entry, and the pieces that could not."""

    records: list[Record]
    damaged: list[bytes]


def decode_entry(raw: bytes | None) -> Unpacked:
    """The records of a batch, or the single record that `raw` is. Raises nothing: what is damaged is said to be."""
    found = Unpacked([], [])
    for piece, sound in _pieces(raw or b""):
        record = _decoded(piece) if sound else None
        if record is None:
            found.damaged.append(piece)
        else:
            found.records.append(record)
    return found


def _decoded(piece: bytes) -> Record | None:
    try:
        return decode(piece)
    except RecordRejected:
        return None


def _pieces(raw: bytes) -> Iterable[tuple[bytes, bool]]:
    if raw[:1] != BATCH_FORMAT:
        yield raw, True
        return
    at = 1
    while at < len(raw):
        begin = at + _FRAME.size
        if begin > len(raw):
            yield raw[at:], False
            return
        length, checksum = _FRAME.unpack_from(raw, at)
        piece = raw[begin : begin + length]
        if len(piece) < length or not 0 < length <= MAX_RECORD:
            # A torn tail, or a length that was hit: where the next record begins is not known.
            yield raw[at:], False
            return
        yield piece, crc32(piece) == checksum
        at = begin + length


def _to_wire(record: Record) -> Click | _Tombstone | _Start | _Books | _Conversion:
    if isinstance(record, Click):
        return record
    match record:
        case Tombstone():
            return _Tombstone(record.click_id)
        case Start():
            click = record.click
            return _Start(
                record.id,
                record.owner.bot_id,
                record.owner.telegram_id,
                record.at_ms,
                click.id if click else None,
                click.link_id if click else 0,
                click.node if click else 0,
                click.ad_key if click else b"",
            )
        case BookEntry():
            return _Books(*(getattr(record, name) for name in _Books.__struct_fields__))
        case Conversion():
            return _conversion_to_wire(record)


def _conversion_to_wire(record: Conversion) -> _Conversion:
    owner, click, money = record.owner, record.click, record.money
    return _Conversion(
        record.id,
        record.event,
        record.at_ms,
        owner.bot_id if owner else 0,
        owner.telegram_id if owner else None,
        click.id if click else None,
        click.link_id if click else 0,
        click.node if click else 0,
        click.ad_key if click else b"",
        record.order_id,
        money.micros if money else None,
        money.currency if money else "",
        dict(record.custom),
        dict(record.person),
    )


def _from_wire(wire: Click | _Tombstone | _Start | _Books | _Conversion) -> Record:
    match wire:
        case Click():
            return wire
        case _Tombstone():
            return Tombstone(wire.click_id)
        case _Start():
            return Start(
                id=wire.id,
                owner=Owner(bot_id=wire.bot_id, telegram_id=wire.telegram_id),
                at_ms=wire.at_ms,
                click=_ref(wire),
            )
        case _Books():
            return BookEntry(**{name: getattr(wire, name) for name in _Books.__struct_fields__})
        case _Conversion():
            return _conversion_from_wire(wire)


def _conversion_from_wire(wire: _Conversion) -> Conversion:
    person = wire.telegram_id
    return Conversion(
        id=wire.id,
        event=wire.event,
        at_ms=wire.at_ms,
        owner=None if person is None else Owner(bot_id=wire.bot_id, telegram_id=person),
        click=_ref(wire),
        order_id=wire.order_id,
        money=None if wire.micros is None else Money(micros=wire.micros, currency=wire.currency),
        custom=wire.custom,
        person=wire.person,
    )


def _ref(wire: _Start | _Conversion) -> ClickRef | None:
    if wire.click_id is None:
        return None
    return ClickRef(id=wire.click_id, link_id=wire.link_id, node=wire.node, ad_key=wire.ad_key)
