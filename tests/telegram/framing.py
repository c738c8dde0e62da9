"""How packets are cut out of the TCP stream: the abridged and the intermediate transport."""

from __future__ import annotations

import asyncio
from typing import Protocol

LARGEST = 1 << 24
WORD = 4


class Framing(Protocol):
    """Cuts a stream into packets and back."""

    async def read(self, stream: asyncio.StreamReader) -> bytes: ...
    def frame(self, packet: bytes) -> bytes: ...


class Abridged:
    """Lengths in words, in one byte or in four."""

    async def read(self, stream: asyncio.StreamReader) -> bytes:
        words = (await stream.readexactly(1))[0]
        if words == 0x7F:
            words = int.from_bytes(await stream.readexactly(3), "little")
        return await stream.readexactly(words * WORD)

    def frame(self, packet: bytes) -> bytes:
        words = len(packet) // WORD
        if words < 0x7F:
            return bytes([words]) + packet
        return b"\x7f" + words.to_bytes(3, "little") + packet


class Intermediate:
    """Lengths in bytes, in four bytes."""

    async def read(self, stream: asyncio.StreamReader) -> bytes:
        length = int.from_bytes(await stream.readexactly(WORD), "little")
        if length > LARGEST:
            raise ValueError("not a packet")
        return await stream.readexactly(length)

    def frame(self, packet: bytes) -> bytes:
        return len(packet).to_bytes(WORD, "little") + packet


async def chosen(stream: asyncio.StreamReader) -> Framing:
    """The transport that the client's first bytes ask for. ValueError if it is another one."""
    first = await stream.readexactly(1)
    if first == b"\xef":
        return Abridged()
    if first == b"\xee" and await stream.readexactly(3) == b"\xee\xee\xee":
        return Intermediate()
    raise ValueError("only the abridged and the intermediate transport are spoken here")
