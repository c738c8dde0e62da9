"""A proxy as whoever sets its troubles sees it: plain calls; the bytes pass through another process."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

from chaos.proxy.trouble import NONE, Stats, Trouble
from chaos.servers.process import Server, ServerFailed

ROOT = Path(__file__).parents[2]
CONTROL_SECONDS = 10.0


class Proxy(Server):
    """Leads from 127.0.0.1:`port` to a server, which need not run. After `kill` and `start` nothing is wrong with it."""

    prefix = "trilha-proxy-"

    def __init__(self, host: str, port: int) -> None:
        self._leads_to = (host, port)
        super().__init__()

    def set(self, trouble: Trouble) -> None:
        """Replace what is wrong; returns when it is in force, also for open connections. Raises ServerFailed."""
        self._ask({"do": "set", "trouble": trouble.as_dict()})

    def heal(self) -> None:
        """Nothing is wrong any more: what was held or delayed is delivered now."""
        self.set(NONE)

    def stats(self) -> Stats:
        """What the process has counted since it was started."""
        return Stats(**self._ask({"do": "stats"}))

    @property
    def _control(self) -> Path:
        return self.directory / "control"

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CONTROL_SECONDS)
            try:
                connection.connect(str(self._control))
                connection.sendall(json.dumps(command).encode() + b"\n")
                answer = json.loads(connection.makefile("rb").readline() or b"{}")
            except OSError as problem:
                raise ServerFailed(f"the proxy does not obey ({problem}):\n{self._child.tail()}") from problem
        if "stats" not in answer:
            raise ServerFailed(
                f"the proxy refused: {answer.get('error', 'it has ended')}\n{self._child.tail()}"
            )
        return dict(answer["stats"])

    def _launch(self) -> None:
        host, port = self._leads_to
        program = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "chaos.proxy"]
        self._child.spawn([*program, str(self.port), host, str(port), str(self._control)])

    def _answers(self) -> bool:
        try:
            self.stats()
        except ServerFailed:
            return False
        return True
