"""The whole proxy within its process: a door, the connections, and what is wrong with them."""

from __future__ import annotations

import asyncio

from chaos.proxy.connection import Connection
from chaos.proxy.door import Door
from chaos.proxy.end import End
from chaos.proxy.toxics.flap import flap
from chaos.proxy.toxics.lose_reply import Losses
from chaos.proxy.trouble import NONE, Stats, Trouble


class House:
    """Leads whoever comes to 127.0.0.1:`port` to one server."""

    def __init__(self, port: int, leads_to: tuple[str, int]) -> None:
        self.stats = Stats()
        self._leads_to = leads_to
        self._door = Door(port, self._welcome)
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flapping: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._trouble = NONE
        self._losses = Losses(NONE)

    async def set(self, trouble: Trouble) -> None:
        """Replace what is wrong; returns when it is in force."""
        await self._stop_flapping()
        self._losses = Losses(trouble)
        await self._apply(trouble)
        if trouble.flap_s:
            self._stop = asyncio.Event()
            self._flapping = asyncio.create_task(flap(trouble, self._apply, self._count_flap, self._stop))

    async def _stop_flapping(self) -> None:
        if self._flapping is not None:
            self._stop.set()
            await self._flapping
            self._flapping = None

    async def _apply(self, trouble: Trouble) -> None:
        self._trouble = trouble
        await self._door.be(shut=trouble.refuse, swallowing=trouble.blackhole)
        for connection in tuple(self._connections):
            connection.change(trouble, self._losses)
        self.stats.open = len(self._connections)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn of the loop

    def _welcome(self) -> End:
        return Connection(self.stats, came=self._came, gone=self._gone).client

    def _came(self, connection: Connection) -> None:
        self._connections.add(connection)
        self.stats.accepted += 1
        self.stats.open = len(self._connections)
        if self._trouble.reset:
            connection.reset()
            return
        task = asyncio.create_task(self._lead(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self, connection: Connection) -> None:
        if await connection.connect(*self._leads_to):
            connection.change(self._trouble, self._losses)

    def _gone(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self.stats.open = len(self._connections)

    def _count_flap(self) -> None:
        self.stats.flaps += 1
