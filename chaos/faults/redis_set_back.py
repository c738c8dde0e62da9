"""Redis dies and comes back as it was some seconds ago: its last snapshot is older than what it has answered since."""

from __future__ import annotations

import time
from dataclasses import dataclass

from chaos.servers import ServerFailed
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSetBack:
    """A snapshot, `seconds` in which life goes on, kill -9, and a start from the snapshot."""

    seconds: float = 2.0

    @property
    def says(self) -> str:
        """For the report."""
        return f"Redis is set back by {self.seconds:g} seconds"

    def begin(self, stage: Stage) -> None:
        """Returns when it answers with the old data. ServerFailed when it cannot save any."""
        if (said := stage.valkey.command("SAVE", timeout=10)) != b"+OK":
            raise ServerFailed(f"Redis saved no snapshot: {said.decode(errors='replace')}")
        time.sleep(self.seconds)
        stage.valkey.kill()
        stage.valkey.start()

    def end(self, stage: Stage) -> None:
        """It is whole already; the old data stay."""
