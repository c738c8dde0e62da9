"""Telegram's word that it no longer has a session's key: an error of the transport, -404, where an answer should be.

kurigram 2.2.26 raises it in a task that nobody waits for, Pyrogram 2.0.106 logs it, and both try again with the same key
without end. Here it is told to who opens the session.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from pyrogram.connection import Connection

UNKNOWN_KEY = (-404).to_bytes(4, "little", signed=True)
# Tasks inherit it: the library's, which read the connection, from the one that opens the session.
_told: ContextVar[asyncio.Event | None] = ContextVar("told", default=None)
_recv = Connection.recv


class KeyLost(Exception):
    """The session has to be begun anew."""


async def watched(opening: Coroutine[Any, Any, Any]) -> None:
    """Do it, unless Telegram says meanwhile that it does not know the key: KeyLost."""
    lost = asyncio.Event()
    before = _told.set(lost)
    try:
        tasks = [asyncio.create_task(opening), asyncio.create_task(lost.wait())]
    finally:
        _told.reset(before)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if lost.is_set():
            raise KeyLost
        await tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _heard(connection: Any) -> Any:
    """In the place of `Connection.recv`. None is what it gives at the connection's end."""
    packet = await _recv(connection)
    if packet != UNKNOWN_KEY:
        return packet
    if (lost := _told.get()) is not None:
        lost.set()
    with suppress(Exception):  # what stands open is closed; the library may have let go of it
        await connection.close()
    return None


def install() -> None:
    """Have Pyrogram's connections tell."""
    Connection.recv = _heard
