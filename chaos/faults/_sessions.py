"""Connections of somebody else's to the PostgreSQL of a stage, past its proxy: who holds locks and takes up room."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

T = TypeVar("T")
SECONDS = 20.0


class Sessions:
    """Open connections, to the database of `url`. OSError when PostgreSQL gives none or refuses a statement."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._where = {"host": place.hostname, "port": place.port, "user": place.username}
        self._database = place.path[1:]
        self._loop = asyncio.new_event_loop()
        self._open: list[Any] = []

    def connect(self, *statements: str) -> int:
        """One more connection, in which these were executed; the process that serves it."""
        return self._run(self._connect(statements))

    def ask(self, statement: str, *arguments: object) -> Any:
        """The first value of a statement, on the connection that was opened last."""
        return self._run(self._open[-1].fetchval(statement, *arguments))

    def close(self) -> None:
        """All connections are gone, and their transactions with them; a second time has no effect."""
        while self._open:
            self._open.pop().terminate()
        if not self._loop.is_closed():
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    async def _connect(self, statements: tuple[str, ...]) -> int:
        made = await asyncpg.connect(**self._where, database=self._database, timeout=SECONDS)
        self._open.append(made)
        for statement in statements:
            await made.execute(statement, timeout=SECONDS)
        return int(made.get_server_pid())

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run_until_complete(call)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            raise OSError(f"PostgreSQL: {type(error).__name__}: {error}") from None
