"""EROFS: the spools' file system is mounted read-only, as a kernel does that has found an error in it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from chaos.stage.stage import Stage

WRITERS = ("work", "serve")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskReadOnly:
    """Linux remounts no file system that somebody writes to: Trilha is stopped for it, as an operator would, and comes
    back on what it cannot write to. Needs a stage with a tmpfs.
    """

    says: str = "the spools' file system is read-only"

    def begin(self, stage: Stage) -> None:
        """Returns when the daemon answers again. The worker may refuse to run: nobody waits for it."""
        _stop(stage)
        _remount(stage, "ro")
        stage.trilha("work").launch()
        stage.servers["serve"].start()

    def end(self, stage: Stage) -> None:
        """It can be written to, and a worker is there. A daemon that runs goes on as it is."""
        _remount(stage, "rw")
        for name in WRITERS:
            stage.servers[name].start()


def _stop(stage: Stage) -> None:
    for name in WRITERS:
        stage.servers[name].stop()


def _remount(stage: Stage, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(stage.spool_folder.parent)], check=True, timeout=30)
