"""A streaming replica of a real PostgreSQL, which can be promoted."""

from __future__ import annotations

import time

from chaos.servers.postgres import PostgresServer
from chaos.servers.process import POLL_SECONDS, START_SECONDS, ServerFailed

NAME = "trilha_replica"


class PostgresReplica(PostgresServer):
    """Follows `primary`, which must run, from its first start on. Reads until it is promoted, and then takes writes.

    `synchronous`: once it follows, the primary answers no COMMIT that is not on this one's disk too.
    """

    def __init__(
        self,
        primary: PostgresServer,
        port: int | None = None,
        *,
        options: tuple[str, ...] = (),
        synchronous: bool = True,
    ) -> None:
        self._primary = primary
        self._synchronous = synchronous
        super().__init__(port, options=options)

    def start(self) -> None:
        """Start and return when it follows, synchronously if it is to."""
        first = not (self.data / "PG_VERSION").exists()
        super().start()
        if first:
            self._wait_for("streaming", "state")
            if self._synchronous:
                self._primary.acknowledge_with(NAME)
                self._wait_for("sync", "sync_state")

    @property
    def follows(self) -> bool:
        """Whether it is still a replica."""
        return self.ask("SELECT pg_is_in_recovery()") == "t"

    def promote(self) -> None:
        """Make it a primary; returns when it takes writes. No effect on one that is one."""
        if self.follows and self.ask(f"SELECT pg_promote(true, {START_SECONDS:.0f})") != "t":
            raise ServerFailed("the replica was not promoted")

    def _initialise(self) -> None:
        if self._user is not None:
            self._hand_over(self._user)
        self._primary.copy_for_replica(self.data, NAME)
        self.data.chmod(0o700)

    def _wait_for(self, wanted: str, column: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        of_this = f"SELECT {column} FROM pg_stat_replication WHERE application_name = '{NAME}'"
        while self._primary.ask(of_this) != wanted:
            if time.monotonic() > deadline:
                raise ServerFailed(f"the replica is not {wanted}:\n{self._child.tail()}")
            time.sleep(POLL_SECONDS)
