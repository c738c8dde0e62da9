"""The balancer of drills: in turn, without the dead and the unready, and what it asks twice it says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from chaos.balancer import Balancer, Upstream
from chaos.balancer.front import NOBODY
from chaos.balancer.rotation import Rotation
from chaos.crowd.visitor import Visitor
from chaos.servers import HOST, free_port
from chaos.stage.nodes import ads_of

FIRST, SECOND, THIRD = (Upstream(public=number, private=number + 10) for number in (1, 2, 3))
ASK = b"GET /go/promo?utm_campaign=C%201&utm_content=A HTTP/1.1\r\nHost: x\r\n\r\n"
SECONDS = 30.0


class Daemon:
    """Answers with its name; `ready` is what it says of itself, and `hangs_up` what it does instead of an answer."""

    def __init__(self, name: str) -> None:
        self.name, self.ready, self.hangs_up, self.asked = name, True, False, 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Upstream]:
        public = await asyncio.start_server(self._redirect, HOST, 0)
        private = await asyncio.start_server(self._readyz, HOST, 0)
        ports = [server.sockets[0].getsockname()[1] for server in (public, private)]
        try:
            yield Upstream(public=ports[0], private=ports[1])
        finally:
            public.close()
            private.close()

    async def _redirect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            self.asked += 1
            if self.hangs_up:
                break
            body = self.name.encode()
            writer.write(b"HTTP/1.1 302 Found\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    async def _readyz(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % (200 if self.ready else 503))
        writer.close()


@asynccontextmanager
async def balanced(*daemons: Daemon) -> AsyncIterator[Balancer]:
    async with AsyncExitStack() as stack:
        upstreams = [await stack.enter_async_context(each.running()) for each in daemons]
        balancer = Balancer(upstreams)
        await asyncio.to_thread(balancer.start)
        try:
            yield balancer
        finally:
            await asyncio.to_thread(balancer.close)


async def names(balancer: Balancer, times: int) -> list[str]:
    visitor = Visitor(balancer.port)
    found = [(await visitor.ask(ASK))[2].decode() for _ in range(times)]
    await visitor.leave()
    return found


def test_daemons_come_in_turn_and_those_that_are_out_come_last() -> None:
    rotation = Rotation([FIRST, SECOND, THIRD])
    assert [rotation.turn()[0] for _ in range(4)] == [FIRST, SECOND, THIRD, FIRST]
    rotation.put_out(THIRD)
    assert [rotation.turn() for _ in range(2)] == [[SECOND, FIRST, THIRD], [FIRST, SECOND, THIRD]]
    rotation.take_in(THIRD)
    assert rotation.out == frozenset()


async def test_visitors_of_one_connection_go_to_all_daemons_in_turn() -> None:
    async with balanced(Daemon("a"), Daemon("b"), Daemon("c")) as balancer:
        assert sorted(await names(balancer, 6)) == ["a", "a", "b", "b", "c", "c"]
        assert balancer.asked_again() == []


async def test_nobody_is_sent_to_a_daemon_that_says_it_is_not_ready_until_it_says_it_is() -> None:
    first, second = Daemon("a"), Daemon("b")
    async with balanced(first, second) as balancer, asyncio.timeout(SECONDS):
        first.ready = False
        while "a" in await names(balancer, 4):
            await asyncio.sleep(0.05)
        first.ready = True
        while "a" not in await names(balancer, 4):
            await asyncio.sleep(0.05)


async def test_who_is_hung_up_on_is_given_to_another_daemon_and_that_is_written_down() -> None:
    first, second = Daemon("a"), Daemon("b")
    first.hangs_up = True
    async with balanced(first, second) as balancer:
        assert await names(balancer, 4) == ["b"] * 4
        assert first.asked >= 1
        assert ads_of(balancer.asked_again()) == [("C 1", "A")] * first.asked


async def test_where_no_daemon_runs_the_answer_says_so_and_nothing_was_asked() -> None:
    balancer = Balancer([Upstream(public=free_port(), private=free_port())])
    await asyncio.to_thread(balancer.start)
    try:
        visitor = Visitor(balancer.port)
        assert (await visitor.ask(ASK))[0] == int(NOBODY.split()[1])
        assert balancer.asked_again() == []
        await visitor.leave()
    finally:
        await asyncio.to_thread(balancer.close)
