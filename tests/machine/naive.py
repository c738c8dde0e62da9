"""The two designs that everybody writes first. They are here to be found out: a checker that lets them pass is worthless.

Both keep a copy in Redis and one on disk, and give a click to whoever takes it from the first store that has it.
"""

from __future__ import annotations

import sqlite3
from uuid import uuid4

import redis

from tests.machine.design import Mode, Ticket, World


class NaiveTakeDelete:
    """Take and delete: GETDEL in Redis, DELETE … RETURNING on disk, from whichever has it."""

    name = "naive_take_delete"

    def __init__(self, world: World) -> None:
        self._world = world
        world.wipe()
        self._path = world.folder / f"{uuid4().hex}.db"
        self._modes: dict[str, Mode] = {}
        self._open()
        self._disk.execute("CREATE TABLE clicks (id TEXT PRIMARY KEY, payload TEXT)")

    def mint(self, number: int) -> Ticket:
        return Ticket(number, uuid4().hex)

    async def put(self, ticket: Ticket) -> None:
        kept = [self._do("redis", lambda: self._world.redis.set(ticket.token, "click"))]
        kept += [
            self._do("disk", lambda: self._write("INSERT OR IGNORE INTO clicks VALUES (?, 'click')", ticket))
        ]
        ticket.acknowledged = ticket.acknowledged or kept[-1] is not None

    async def start(self, ticket: Ticket, person: int) -> bool | None:
        if self._is_used(ticket):
            return False
        taken = self._do("redis", lambda: self._world.redis.getdel(ticket.token))
        on_disk = self._do(
            "disk", lambda: self._write("DELETE FROM clicks WHERE id = ? RETURNING id", ticket)
        )
        mine = bool(taken) or bool(on_disk)
        if mine:
            self._mark_used(ticket)
        return mine

    async def settle(self, *, again: bool) -> None:
        """There is nothing to settle."""

    async def crash(self, *, power: bool) -> None:
        self._disk.close()
        self._open()

    async def erase(self, ticket: Ticket) -> bool:
        return False

    async def erase_person(self, person: int) -> None:
        """Not known to this design."""

    async def check(self) -> None:
        """Its promises are checked by whom it told what (I2)."""

    async def owners(self) -> dict[str, int]:
        """It keeps no record of owners."""
        return {}

    async def close(self) -> None:
        self._disk.close()
        self._path.unlink()

    def fault(self, store: str, mode: Mode) -> None:
        self._modes[store] = mode

    def heal(self) -> None:
        self._modes = {}

    def jump(self, seconds: float) -> None:
        """It does not look at the clock."""

    def quota(self, *, reached: bool) -> None:
        """It knows none."""

    def _is_used(self, ticket: Ticket) -> bool:
        return False

    def _mark_used(self, ticket: Ticket) -> None:
        """It remembers nothing."""

    def _open(self) -> None:
        self._disk = sqlite3.connect(self._path, isolation_level=None)

    def _write(self, statement: str, ticket: Ticket) -> list[object]:
        return self._disk.execute(statement, (ticket.token,)).fetchall()

    def _do(self, store: str, call: object) -> object:
        """What the store said; None when it could not be asked or its reply was lost."""
        mode = self._modes.get(store, "ok")
        if mode == "down":
            return None
        try:
            answer = call()  # type: ignore[operator]
        except (redis.RedisError, sqlite3.Error):
            return None
        return None if mode == "deaf" else answer


class NaiveTombstone(NaiveTakeDelete):
    """Take and delete, and remember in Redis that the click is taken."""

    name = "naive_tombstone"

    def _is_used(self, ticket: Ticket) -> bool:
        return bool(self._do("redis", lambda: self._world.redis.exists("used:" + ticket.token)))

    def _mark_used(self, ticket: Ticket) -> None:
        self._do("redis", lambda: self._world.redis.set("used:" + ticket.token, "1"))
