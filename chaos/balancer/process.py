"""A balancer as whoever puts it before daemons sees it; the bytes pass through another process."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from chaos.balancer.rotation import Upstream
from chaos.servers.process import HOST, Server

ROOT = Path(__file__).parents[2]


class Balancer(Server):
    """Leads from 127.0.0.1:`port` to daemons, which need not run."""

    prefix = "trilha-balancer-"

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        self._upstreams = tuple(upstreams)
        super().__init__()

    def asked_again(self) -> list[str]:
        """The targets of requests that were given to another daemon after one had got them and not answered."""
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    @property
    def _notes(self) -> Path:
        return self.directory / "asked-again"

    def _launch(self) -> None:
        where = [str(self.port), str(self._notes), *map(str, self._upstreams)]
        command = [sys.executable, "-m", "chaos.balancer", *where]
        self._child.spawn(command, settings={"PYTHONPATH": str(ROOT)})

    def _answers(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True
