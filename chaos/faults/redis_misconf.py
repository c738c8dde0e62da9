"""Redis cannot save to its disk: every write is refused with MISCONF until a save succeeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chaos.stage.stage import Stage
from chaos.stage.trilha import wait_until

SECONDS = 10.0
NEVER_BY_ITSELF = "3600 1000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisMisconf:
    """Where its snapshot should go there is a folder with something in it, which not even root can replace by a file."""

    says: str = "Redis cannot save to its disk"

    def begin(self, stage: Stage) -> None:
        """Returns when it refuses."""
        (_snapshot(stage) / "in the way").mkdir(parents=True, exist_ok=True)
        stage.valkey.obey(f'CONFIG SET save "{NEVER_BY_ITSELF}"', "BGSAVE")
        wait_until("Redis refuses writes", lambda: _writes(stage).startswith(b"-MISCONF"), SECONDS)

    def end(self, stage: Stage) -> None:
        """Returns when it has saved, and takes writes."""
        if _snapshot(stage).is_dir():
            (_snapshot(stage) / "in the way").rmdir()
            _snapshot(stage).rmdir()
            stage.valkey.obey("BGSAVE")
        wait_until("Redis takes writes", lambda: _writes(stage) == b"+OK", SECONDS)
        stage.valkey.obey('CONFIG SET save ""')


def _snapshot(stage: Stage) -> Path:
    return stage.valkey.directory / "dump.rdb"


def _writes(stage: Stage) -> bytes:
    return stage.valkey.command("SET filler x")
