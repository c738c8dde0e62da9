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

    def _launch(self) -> None:
        command = [sys.executable, "-m", "chaos.balancer", str(self.port), *map(str, self._upstreams)]
        self._child.spawn(command, settings={"PYTHONPATH": str(ROOT)})

    def _answers(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True
