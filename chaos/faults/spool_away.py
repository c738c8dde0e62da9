"""A host goes down in good order with clicks in its spool, and comes back later; meanwhile others redeem those clicks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from chaos.checker.held import read_held
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolAway:
    """Settling stops, `filling_s` seconds later `target` is told to stop and its spool is out of everybody's reach.

    The stage should have no Redis: it would know the clicks.
    """

    target: str
    filling_s: float = 1.5

    @property
    def says(self) -> str:
        """For the report."""
        return f"the clicks of {self.target} are out of reach"

    def begin(self, stage: Stage) -> None:
        """Returns when only their tokens speak of those clicks."""
        stage.servers["work"].stop()
        time.sleep(self.filling_s)
        spools = _written_by(stage.servers[self.target].pid)
        stage.servers[self.target].stop()
        _away(stage).mkdir(mode=0o700)
        for spool in spools:
            spool.rename(_away(stage) / spool.name)

    def end(self, stage: Stage) -> None:
        """Returns when all are back. RuntimeError when nobody had pressed START on such a click meanwhile."""
        if not _away(stage).exists():
            return
        early = _starts_without_click(stage)
        for path in _away(stage).iterdir():
            path.rename(stage.spool_folder / path.name)
        _away(stage).rmdir()
        stage.servers["work"].start()
        stage.servers[self.target].start()
        if not early:
            raise RuntimeError("nobody pressed START on a click that was out of reach")


def _away(stage: Stage) -> Path:
    return stage.folder / "away"


def _written_by(pid: int) -> list[Path]:
    """The spools whose lock the process holds."""
    opened = (Path(each.path) for each in psutil.Process(pid).open_files())
    return [path.parent for path in opened if path.name == "writer.lock"]


def _starts_without_click(stage: Stage) -> int:
    held = read_held(stage.direct_sql_url, stage.spool_folder)
    return sum(row.owner is not None and not row.has_click for row in held.clicks.values())
