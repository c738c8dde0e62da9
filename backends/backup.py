"""A backup of what this machine has, taken while everything runs.

Spools are copied before SQL. A record is trimmed from its spool only after its COMMIT, so whatever was acknowledged before
the backup began is in the copied spools, or in the SQL that is copied after them, or in both: settling twice changes nothing.
"""

import asyncio
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.engine import make_url

from backends import backup_postgresql
from backends.backup_archive import (
    CATALOG,
    FORMAT,
    POSTGRESQL,
    SQLITE,
    Manifest,
    Progress,
    as_unavailable,
    describe,
    pack,
    sync_folder,
)
from backends.backup_sqlite import copy_database, copy_spool, look_into
from backends.spool import ASIDE, spools_under
from backends.sql.engine import make_engine
from domain.errors import ConfigError, StoreUnavailable

DUMP_PATIENCE = 6 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is backed up. `ring`, `trilha`, `settings`: for the manifest. `pg_dump`: its program, None: as the shell finds it."""

    sql_url: str
    spools: Path
    catalog: Path
    at_ms: int
    trilha: str
    ring: str
    settings: tuple[str, ...]
    pg_dump: str | None = None


async def back_up(source: Source, target: Path, progress: Progress) -> Manifest:
    """Write the archive, which must not be there yet; what it holds. ConfigError, or StoreUnavailable when a store cannot be
    copied: then there is no archive, and nothing is left of it.
    """
    _ensure_free(target)
    with as_unavailable(target), TemporaryDirectory(prefix=".trilha-backup-", dir=target.parent) as folder:
        staging = Path(folder)  # 0700
        files = await asyncio.to_thread(_copy_spools, source.spools, staging, progress)
        name, schema, counts = await _copy_sql(source, staging, progress)
        files[name] = staging / name
        _copy_small(source, staging, files)
        return await asyncio.to_thread(_packed, source, target, files, (name, schema, counts), progress)


def _ensure_free(target: Path) -> None:
    if target.exists():
        raise ConfigError(f"{target} exists already; a backup never overwrites anything")
    if not target.parent.is_dir():
        raise ConfigError(f"there is no folder {target.parent}")


def _packed(
    source: Source,
    target: Path,
    files: Mapping[str, Path],
    sql: tuple[str, str, dict[str, int]],
    progress: Progress,
) -> Manifest:
    name, schema, counts = sql
    manifest = Manifest(
        format=FORMAT,
        trilha=source.trilha,
        at_ms=source.at_ms,
        engine="sqlite" if name == SQLITE else "postgresql",
        schema=schema,
        ring=source.ring,
        counts=counts,
        settings=source.settings,
        members=tuple(describe(name, path, progress) for name, path in files.items()),
    )
    pack(target, manifest, files, progress)
    return manifest


def _copy_spools(root: Path, staging: Path, progress: Progress) -> dict[str, Path]:
    found = spools_under(root)
    files: dict[str, Path] = {}
    for number, folder in enumerate(found, 1):
        name = f"spool/{folder.name}/cache.db"
        if copy_spool(folder, staging / name):
            files[name] = staging / name
        progress("copying spools", number, len(found))
    return files


async def _copy_sql(source: Source, staging: Path, progress: Progress) -> tuple[str, str, dict[str, int]]:
    (staging / "sql").mkdir(mode=0o700)
    if source.sql_url.startswith("sqlite"):
        target = staging / SQLITE
        await asyncio.to_thread(copy_database, sqlite_file(source.sql_url), target, progress)
        return SQLITE, *await asyncio.to_thread(look_into, target)
    engine = make_engine(source.sql_url, patience=DUMP_PATIENCE)
    try:
        dumped = await backup_postgresql.dump(engine, staging / POSTGRESQL, source.pg_dump, progress)
    finally:
        await engine.dispose()
    return POSTGRESQL, *dumped


def _copy_small(source: Source, staging: Path, files: dict[str, Path]) -> None:
    """What was set aside, and the copy of the catalog: small files, each of which may go at any moment."""
    wanted = {f"aside/{path.name}": path for path in sorted((source.spools / ASIDE).glob("*.bin"))}
    for name, path in (wanted | {CATALOG: source.catalog}).items():
        with suppress(FileNotFoundError):
            (staging / name).parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copyfile(path, staging / name)
            files[name] = staging / name


def sqlite_file(url: str) -> Path:
    """The file of a SQLite URL. ConfigError for a database in memory."""
    name = make_url(url).database
    if not name or name == ":memory:":
        raise ConfigError("a database in memory has no backup")
    return Path(name)


def replace_sqlite(copy: Path, target: Path) -> None:
    """Put a copy in the database's place, with the log of the one before gone first: it belongs to no other file."""
    try:
        for suffix in ("-wal", "-shm", "-journal"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        copy.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StoreUnavailable(f"{target}: {error.strerror}") from error
