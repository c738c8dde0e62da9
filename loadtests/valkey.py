"""A Valkey for one measurement: it keeps nothing, and is asked how much it holds."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from loadtests.children import Child, Children, clean_environment, free_port
from loadtests.plan import HOST, RungFailed


class Valkey:
    """One server on a port of its own, without persistence, eviction or password."""

    def __init__(self, program: Path, children: Children, folder: Path, core: int | None) -> None:
        self.port = free_port()
        self.url = f"redis://{HOST}:{self.port}/0"
        command = [str(program), "--bind", HOST, "--port", str(self.port), "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
        self._child: Child = children.start(
            command, core=core, log=folder / "valkey.log", env=clean_environment()
        )
        self._child.wait_until(self._answers)
        self._empty = self._used()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._child.kill()

    def clicks(self) -> int:
        """How many keys it holds."""
        return int(self._ask("DBSIZE"))

    def bytes_per_click(self) -> float | None:
        """Memory per key above what it used when it was empty; ask once its clients have gone."""
        clicks = self.clicks()
        return (self._used() - self._empty) / clicks if clicks else None

    def _used(self) -> int:
        found = re.search(r"^used_memory:(\d+)", self._ask("INFO memory"), re.MULTILINE)
        if found is None:
            raise RungFailed("Valkey does not say how much memory it uses")
        return int(found[1])

    def _answers(self) -> bool:
        try:
            return self._ask("PING") == "PONG"
        except RungFailed:
            return False

    def _ask(self, line: str) -> str:
        try:
            with socket.create_connection((HOST, self.port), 5) as connection:
                connection.sendall(line.encode() + b"\r\n")
                answer = connection.makefile("rb")
                first = answer.readline().decode().strip()
                return answer.read(int(first[1:])).decode() if first.startswith("$") else first[1:]
        except (OSError, ValueError) as error:
            raise RungFailed(f"Valkey did not answer {line}: {error}") from None
