"""The front of a balancer: requests in, answers out, and the looks at every daemon."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from chaos.balancer.rotation import Rotation, Upstream
from chaos.crowd.visitor import NO_ANSWER, parse
from chaos.servers import HOST

LOOK_SECONDS = 0.25
LOOK_PATIENCE = 0.5
TRY_SECONDS = 1.0
KEPT = 64
END = b"\r\n\r\n"
NOBODY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"
UNFIT = b"HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_READY = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Front:
    """Passes on requests without a body (GET, HEAD). What is asked twice is answered once: only a redirect may be.

    `asked_again` hears the target of each request that a daemon got and did not answer, before the next one gets it: the
    first may have kept its click all the same.
    """

    def __init__(self, rotation: Rotation, asked_again: Callable[[bytes], None]) -> None:
        self._rotation = rotation
        self._asked_again = asked_again
        self._free: dict[Upstream, deque[Streams]] = {each: deque() for each in rotation.all}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One visitor's connection, to its end."""
        with suppress(*NO_ANSWER):
            while True:
                head = await reader.readuntil(END)
                fit = head.startswith((b"GET ", b"HEAD "))
                writer.write(await self._answer(head) if fit else UNFIT)
                await writer.drain()
                if not fit:
                    break
        writer.close()

    async def look_at_all(self) -> None:
        """Ask every daemon whether it is ready, again and again, until cancelled."""
        async with asyncio.TaskGroup() as looks:
            for upstream in self._rotation.all:
                looks.create_task(self._look_at(upstream))

    async def _look_at(self, upstream: Upstream) -> None:
        while True:
            if await _is_ready(upstream.private):
                self._rotation.take_in(upstream)
            else:
                self._rotation.put_out(upstream)
            await asyncio.sleep(LOOK_SECONDS)

    async def _answer(self, head: bytes) -> bytes:
        for upstream in self._rotation.turn():
            for kept in (True, False):  # a connection that was kept may have been closed meanwhile
                if kept and not self._free[upstream]:
                    continue
                try:
                    async with asyncio.timeout(TRY_SECONDS):
                        return await self._ask(upstream, head, kept=kept)
                except ConnectionRefusedError:
                    break
                except TimeoutError:
                    self._asked_again(head.split(b" ", 2)[1])
                    break
                except NO_ANSWER:
                    self._asked_again(head.split(b" ", 2)[1])
            self._rotation.put_out(upstream)
        return NOBODY

    async def _ask(self, upstream: Upstream, head: bytes, *, kept: bool) -> bytes:
        free = self._free[upstream]
        streams = free.popleft() if kept else await asyncio.open_connection(HOST, upstream.public)
        reader, writer = streams
        try:
            writer.write(head)
            answer = await reader.readuntil(END)
            _, headers = parse(answer)
            body = b"" if head.startswith(b"HEAD ") else await reader.readexactly(_length(headers))
        except BaseException:
            writer.close()
            raise
        if headers.get("connection", "").lower() == "close" or len(free) >= KEPT:
            writer.close()
        else:
            free.append(streams)
        return answer + body


def _length(headers: dict[str, str]) -> int:
    return int(headers.get("content-length", "0"))


async def _is_ready(port: int) -> bool:
    try:
        async with asyncio.timeout(LOOK_PATIENCE):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(_READY)
                return parse(await reader.readuntil(END))[0] == 200
            finally:
                writer.close()
    except NO_ANSWER:
        return False
