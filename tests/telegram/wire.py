"""Packets of the encrypted protocol: what a client packed, taken apart, and what the server has to say, packed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from hashlib import sha1, sha256
from io import BytesIO
from typing import Any

from pyrogram.crypto import mtproto
from pyrogram.raw.core import GzipPacked, Int, Long, Message, MsgContainer, TLObject

from tests.telegram import ige
from tests.telegram.account import BotSide

CONTAINER = MsgContainer.ID.to_bytes(4, "little")
NO_KEY = bytes(8)
WORTH_PACKING = 1024


@dataclass(slots=True, kw_only=True)
class AuthKey:
    """What a client and the server agreed on, and the bot that logged in with it."""

    secret: bytes
    bot: BotSide | None = None

    @property
    def id(self) -> bytes:
        """By which packets name it."""
        return sha1(self.secret).digest()[-8:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One message of a client. A body of None is one that this layer does not know."""

    msg_id: int
    body: Any | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What was in one encrypted packet."""

    salt: int
    session_id: bytes
    msg_id: int
    messages: tuple[Incoming, ...]


class Refused(ValueError):
    """A packet that no client with this key made."""


def unpack(packet: bytes, key: AuthKey) -> Packet:
    """What a client packed. Refused if its hash is wrong."""
    msg_key = packet[8:24]
    data = ige.decrypt(packet[24:], *mtproto.kdf(key.secret, msg_key, True))
    if sha256(key.secret[88:120] + data).digest()[8:24] != msg_key:
        raise Refused("the hash of the packet is wrong")
    stream = BytesIO(data)
    salt, session_id = Long.read(stream), stream.read(8)
    msg_id, body = _message(stream)
    return Packet(salt=salt, session_id=session_id, msg_id=msg_id, messages=tuple(_flat(msg_id, body)))


def _message(stream: BytesIO) -> tuple[int, bytes]:
    msg_id, _seq_no, length = Long.read(stream), Int.read(stream), Int.read(stream)
    return msg_id, stream.read(length)


def _flat(msg_id: int, body: bytes) -> list[Incoming]:
    if not body.startswith(CONTAINER):
        return [Incoming(msg_id=msg_id, body=_known(body))]
    stream = BytesIO(body[4:])
    return [found for _ in range(Int.read(stream)) for found in _flat(*_message(stream))]


def _known(body: bytes) -> Any | None:
    """The object, or None: a constructor of another layer is the caller's to refuse, and no reason to die."""
    try:
        return TLObject.read(BytesIO(body))
    except Exception:  # noqa: BLE001 - the library says it in whatever way its generated readers fail
        return None


class Speaker:
    """The server's end of one session: numbers what it says."""

    _last_id = 0

    def __init__(self, key: AuthKey, session_id: bytes) -> None:
        self.key = key
        self.session_id = session_id
        self._content_related = 0

    def pack(self, body: TLObject, *, salt: int, reply: bool, content: bool) -> bytes:
        """One message as a packet of its own. Content is what a client has to acknowledge."""
        written = body.write()
        seq_no = self._content_related * 2 + content
        self._content_related += content
        message = Message(Written(written), self._next_id(reply=reply), seq_no, len(written))
        data = bytes(Long(salt)) + self.session_id + message.write()
        data += os.urandom(-(len(data) + 12) % 16 + 12)
        secret = self.key.secret
        msg_key = sha256(secret[96:128] + data).digest()[8:24]
        return self.key.id + msg_key + ige.encrypt(data, *mtproto.kdf(secret, msg_key, False))

    @classmethod
    def _next_id(cls, *, reply: bool) -> int:
        # Clients take the time from it, so it is the machine's, not the server's adjustable clock.
        cls._last_id = max(int(time.time() * 2**32) & ~3, cls._last_id + 4)
        return cls._last_id + (1 if reply else 3)


class Written(TLObject):
    """Bytes that are written already."""

    __slots__ = ["written"]

    def __init__(self, written: bytes) -> None:
        self.written = written

    def write(self, *args: Any) -> bytes:
        return self.written


def packed(result: TLObject) -> TLObject:
    """Compressed if that is worth it, as the real one does: deciphering is what takes a client its time."""
    written = result.write()
    return GzipPacked(Written(written)) if len(written) > WORTH_PACKING else Written(written)


def unpack_plain(packet: bytes) -> TLObject:
    """What a client says before it has a key."""
    return TLObject.read(BytesIO(packet[20:]))


def pack_plain(body: TLObject) -> bytes:
    """An answer to it."""
    written = body.write()
    return NO_KEY + bytes(Long(Speaker._next_id(reply=True))) + bytes(Int(len(written))) + written
