"""The server's own arithmetic, held against the clients'."""

from __future__ import annotations

import asyncio
import os

import pytest
from pyrogram.crypto import aes

from tests.telegram import LoopbackTelegram, framing, ige, wire


@pytest.mark.parametrize("blocks", [1, 2, 3, 33])
def test_ige_is_the_clients_ige(blocks: int) -> None:
    data, key, iv = os.urandom(16 * blocks), os.urandom(32), os.urandom(32)
    encrypted = ige.encrypt(data, key, iv)
    assert encrypted == aes.ige256_encrypt(data, key, iv)
    assert ige.decrypt(encrypted, key, iv) == data


@pytest.mark.parametrize("opening", [b"\xef", b"\xee\xee\xee\xee"])
@pytest.mark.parametrize("size", [4, 504, 508, 70_000])
async def test_a_framed_packet_is_read_as_it_was(opening: bytes, size: int) -> None:
    stream = asyncio.StreamReader()
    stream.feed_data(opening)
    chosen = await framing.chosen(stream)
    packet = os.urandom(size)
    stream.feed_data(chosen.frame(packet) + chosen.frame(b"next"))
    assert [await chosen.read(stream), await chosen.read(stream)] == [packet, b"next"]


async def test_an_altered_packet_is_refused() -> None:
    key = wire.AuthKey(secret=os.urandom(256))
    packet = key.id + os.urandom(16) + os.urandom(64)
    with pytest.raises(wire.Refused):
        wire.unpack(packet, key)


async def test_waiting_in_vain_ends(telegram: LoopbackTelegram) -> None:
    with pytest.raises(TimeoutError):
        await telegram.wait_for(lambda: telegram.sent, seconds=0.01)
