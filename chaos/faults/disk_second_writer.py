"""Two writers on one spool: somebody else wants to write to a spool, or to settle it, while its owner lives."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from backends.spool import Spool, spools_under
from chaos.servers import HOST, free_port
from chaos.stage.stage import Stage
from chaos.stage.trilha import TrilhaProcess
from domain.errors import ConfigError

QUOTA = 1024 * 1024
END_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSecondWriter:
    """A second writer of each spool, and a second worker on their folder. Each must be refused, by the one lock that it
    would need; RuntimeError otherwise.
    """

    says: str = "a second writer comes"

    def begin(self, stage: Stage) -> None:
        """Returns when all were refused."""
        for folder in spools_under(stage.spool_folder):
            with suppress(ConfigError):
                Spool(folder, quota=QUOTA, synced=True, boot="intruder").close()
                raise RuntimeError(f"a second writer may write to {folder.name}")
        if not _is_refused(_second_worker(stage)):
            raise RuntimeError("a second worker settles the same spools")

    def end(self, stage: Stage) -> None:
        """They have gone by themselves."""


def _second_worker(stage: Stage) -> TrilhaProcess:
    port = free_port()
    settings = stage.trilha("work").settings | {"TRILHA_WORK_BIND": f"{HOST}:{port}"}
    return TrilhaProcess("work", port, settings, stage.folder / "second-work.log")


def _is_refused(process: TrilhaProcess) -> bool:
    """Whether it ends by itself, with an error."""
    process.launch()
    try:
        return bool(process.wait_for_end(END_SECONDS))
    finally:
        process.close()
