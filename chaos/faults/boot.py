"""A daemon boots while its stores are away: it has the links from its own disk."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage
from chaos.stage.trilha import wait_until

SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """Every store of the stage is killed, and `target` is told to stop and started without them."""

    target: str = "serve"

    @property
    def says(self) -> str:
        """For the report."""
        return f"{self.target} boots with every store down"

    def begin(self, stage: Stage) -> None:
        """Returns when it says that it can answer redirects. TimeoutError when it does not."""
        for store in _stores(stage):
            stage.servers[store].kill()
        daemon = stage.trilha(self.target)
        daemon.stop()
        daemon.launch()
        wait_until(f"{self.target} is ready without stores", daemon.is_ready, SECONDS)

    def end(self, stage: Stage) -> None:
        """Returns when the stores answer again."""
        for store in _stores(stage):
            stage.servers[store].start()


def _stores(stage: Stage) -> list[str]:
    return [name for name in ("valkey", "postgres") if name in stage.servers]
