"""A client, the server it is led to, and the two directions between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chaos.proxy.dialogue.follow import Dialogue
from chaos.proxy.end import End
from chaos.proxy.pump import Flow
from chaos.proxy.toxics.bandwidth import Bandwidth
from chaos.proxy.toxics.drop import Drop
from chaos.proxy.toxics.latency import Latency
from chaos.proxy.toxics.lose_reply import Losses
from chaos.proxy.toxics.noop import Toxic
from chaos.proxy.toxics.reset import reset
from chaos.proxy.trouble import NONE, Direction, Stats, Trouble

Told = Callable[["Connection"], None]


class Connection:
    """Lives from the client's connect, when `came` is called, until either side is gone: `gone`."""

    def __init__(self, stats: Stats, came: Told, gone: Told) -> None:
        self._stats = stats
        self._gone = gone
        self._losses = Losses(NONE)
        self._dialogue = Dialogue()
        self._over = False
        self._cut = False
        self.client = End(self._asked, self._end, lambda: came(self))
        self.server = End(self._answered, self._end, lambda: None)
        self._up = Flow(self.client, self.server, self._count_up)
        self._down = Flow(self.server, self.client, self._count_down)

    async def connect(self, host: str, port: int) -> bool:
        """Reach the server. Where that fails the client is reset: refusing it is no longer possible."""
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.server, host, port)
        except OSError:
            self.reset()
        if self._over and self.server.transport is not None:
            self.server.transport.abort()
        return not self._over

    def change(self, trouble: Trouble, losses: Losses) -> None:
        """Another trouble from now on. Held until there is a server; reset when it lost bytes of a stream."""
        self._losses = losses
        if trouble.reset or self._up.gap or self._down.gap:
            self.reset()
        elif self.server.transport is not None and not self._cut:
            self._up.change(toxics(trouble, "up"), held=trouble.blackhole)
            self._down.change(toxics(trouble, "down"), held=trouble.blackhole)

    def reset(self) -> None:
        """RST to the client now; the server's side is closed."""
        if self._over:
            return
        self._cut = True
        self._stats.resets += 1
        if self.client.transport is not None:
            reset(self.client.transport)
        self._end()

    def _asked(self, data: bytes) -> None:
        if data and not self._cut:
            self._dialogue.asked(data)
        self._pass(self._up, data)

    def _answered(self, data: bytes) -> None:
        for applied in self._dialogue.answered(data) if data and not self._cut else ():
            if self._losses.loses(applied.command):
                self._lose(data[: applied.at])
                return
        self._pass(self._down, data)

    def _lose(self, before: bytes) -> None:
        """What the server said before is passed on (unless it is delayed), what it says from there on is not."""
        if before:
            self._down.feed(before)
        self._stats.replies_lost += 1
        self._cut = True
        # The loop may write only at the end of its turn, and a reset discards what is not written.
        asyncio.get_running_loop().call_soon(self.reset)

    def _pass(self, flow: Flow, data: bytes) -> None:
        if self._cut:
            return
        flow.feed(data)
        if self._up.ended and self._down.ended:
            self._end()

    def _end(self) -> None:
        """Close what is open; what was written is still sent."""
        if self._over:
            return
        self._over = self._cut = True
        self._up.stop()
        self._down.stop()
        for end in (self.client, self.server):
            if end.transport is not None:
                end.transport.close()
        self._gone(self)

    def _count_up(self, size: int) -> None:
        self._stats.bytes_up += size

    def _count_down(self, size: int) -> None:
        self._stats.bytes_down += size


def toxics(trouble: Trouble, direction: Direction) -> list[Toxic]:
    """What the trouble does to a direction, in the order in which bytes meet it."""
    found: list[Toxic] = []
    if trouble.silent or trouble.drop == direction:
        found.append(Drop())
    if trouble.bandwidth:
        found.append(Bandwidth(trouble.bandwidth))
    if trouble.latency_ms or trouble.jitter_ms:
        found.append(Latency(trouble.latency_ms / 1000, trouble.jitter_ms / 1000))
    return found
