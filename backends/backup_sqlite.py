"""Copies of SQLite files that are in use: of the database, and of spools. No writer waits for one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from backends.backup_archive import Progress
from domain.errors import StoreUnavailable

# Instructions of SQLite's machine between two looks at how far a copy is.
LOOK_EVERY = 200_000
COUNTED = ("clicks", "starts", "bot_users", "outbox", "erasures", "links", "bots")


def copy_database(source: Path, target: Path, progress: Progress) -> None:
    """A consistent copy as of one moment. Raises StoreUnavailable.

    VACUUM INTO reads under one snapshot of the log, so writers go on; and it copies rows, not pages, so that the copy has
    nothing of what was deleted or erased, which free pages of the file may still hold (ADR 0016).
    """
    if not source.exists():
        raise StoreUnavailable(f"there is no database at {source}. Make one with: trilha migrate")
    total = max(source.stat().st_size, 1)

    def look() -> int:
        with suppress(OSError):
            progress("copying SQL", min(target.stat().st_size, total), total)
        return 0

    with _failures("SQL"), closing(_reader(source)) as reader:
        reader.set_progress_handler(look, LOOK_EVERY)
        reader.execute("VACUUM INTO ?", (str(target),))
    target.chmod(0o600)
    progress("copying SQL", total, total)


def look_into(database: Path) -> tuple[str, dict[str, int]]:
    """Schema version and rows by table of a copy, once it is known to be sound. Raises StoreUnavailable."""
    with _failures("the copy of SQL"), closing(_reader(database)) as reader:
        (found,) = reader.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StoreUnavailable(f"the copy of SQL is not sound: {found}")
        (version,) = reader.execute("SELECT version_num FROM alembic_version").fetchone()
        return version, {name: _count(reader, name) for name in COUNTED}


def copy_spool(folder: Path, target: Path) -> bool:
    """A consistent copy of a spool; False when nothing waits in it, or it was settled and removed meanwhile.

    Raises StoreUnavailable when it is there and cannot be read.
    """
    source = folder / "cache.db"
    try:
        with _failures(f"the spool {folder.name}"), closing(_reader(source)) as reader:
            if not reader.execute("SELECT 1 FROM Cache LIMIT 1").fetchone():
                return False
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            reader.execute("VACUUM INTO ?", (str(target),))
    except StoreUnavailable as error:
        if not source.exists() or "no such table" in str(error.__cause__):
            return False
        raise
    target.chmod(0o600)
    return True


def in_use(database: Path) -> bool:
    """Whether another process has the database open, though it may do nothing. Raises StoreUnavailable."""
    # Whoever has read a file with a log beside it holds a lock on it until it closes it.
    with _failures("SQL"), closing(sqlite3.connect(database, timeout=1.0, isolation_level=None)) as alone:
        alone.execute("PRAGMA locking_mode=EXCLUSIVE")
        try:
            alone.execute("BEGIN EXCLUSIVE")
            alone.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return True
            raise
        return False


def _reader(path: Path) -> sqlite3.Connection:
    reader = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
    reader.isolation_level = None
    return reader


def _count(reader: sqlite3.Connection, table: str) -> int:
    (found,) = reader.execute(f"SELECT COUNT(*) FROM {table}").fetchone()  # noqa: S608  a name of ours
    return int(found)


@contextmanager
def _failures(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{what} cannot be copied: {error}") from error
