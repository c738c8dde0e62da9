"""Copies of PostgreSQL by its own programs, which get the password in their environment and never on their command line."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.backup_archive import Progress
from backends.backup_replacing import ASIDE, Replacing
from backends.backup_sqlite import COUNTED
from backends.sql.engine import query
from domain.errors import ConfigError, StoreUnavailable
from runtime.settings import child_environment

LOOK_SECONDS = 0.2
LARGEST_COMPLAINT = 400


async def dump(
    engine: AsyncEngine, target: Path, program: str | None, progress: Progress
) -> tuple[str, dict[str, int]]:
    """A dump in PostgreSQL's custom format as of one moment; schema version and rows by table at that moment.

    ConfigError without pg_dump; StoreUnavailable when it fails. Takes no lock that a writer waits for.
    """
    found = _program("pg_dump", program, engine)

    async def copy(connection: AsyncConnection) -> tuple[str, dict[str, int]]:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        moment: str = (await connection.execute(text("SELECT pg_export_snapshot()"))).scalar_one()
        version: str = (
            await connection.execute(text("SELECT version_num FROM alembic_version"))
        ).scalar_one()
        counts = {name: await _count(connection, name) for name in COUNTED}
        size: int = (
            await connection.execute(text("SELECT pg_database_size(current_database())"))
        ).scalar_one()
        # Compressed once, by the archive.
        words = ["--format=custom", "--compress=0", "--no-owner", "--no-privileges", "--no-comments"]
        words += [f"--exclude-schema={ASIDE}"]
        await _run(
            [found, *words, f"--snapshot={moment}", f"--file={target}"], engine, target, size, progress
        )
        return version, counts

    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return await query(engine, copy)


async def load(
    engine: AsyncEngine, source: Path, program: str | None, progress: Progress, *, replace: bool
) -> None:
    """Bring a dump into the database, in one transaction. `replace`: in the place of the tables of ours that are there.

    ConfigError without pg_restore, or when those tables are a later Trilha's; StoreUnavailable when it fails: then what
    was there is there again.
    """
    found = _program("pg_restore", program, engine)
    words = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    database = engine.url.database or ""
    before = Replacing(engine)
    await before.check()
    if replace:
        await before.put_aside()
    try:
        await _run([found, *words, f"--dbname={database}", str(source)], engine, None, 1, progress)
    except BaseException:
        await before.bring_back()
        raise
    await before.drop()


def environment(engine: AsyncEngine) -> dict[str, str]:
    """What tells PostgreSQL's programs where the database is, and the password."""
    url = engine.url
    asked: Mapping[str, object] = url.query
    said = {
        "PGHOST": url.host or str(asked.get("host", "")),
        "PGPORT": str(url.port or asked.get("port", "")),
        "PGUSER": url.username or str(asked.get("user", "")),
        "PGPASSWORD": url.password or "",
        "PGDATABASE": url.database or "",
        "PGSSLMODE": str(asked.get("ssl", asked.get("sslmode", ""))),
        "PGCONNECT_TIMEOUT": "10",
    }
    return {name: value for name, value in said.items() if value}


def _program(name: str, given: str | None, engine: AsyncEngine) -> str:
    found = shutil.which(given or name)
    if found is None:
        url = engine.url
        where = f"--host={url.host} --port={url.port or 5432} --username={url.username} {url.database}"
        asked = "--format=custom --file=trilha.dump " if name == "pg_dump" else ""
        raise ConfigError(
            f"{given or name} is not on this machine. Install PostgreSQL's client programs, name yours with "
            f"--{name.replace('_', '-')}, or run where there is one: {name} {asked}{where}"
        )
    return found


async def _run(
    words: list[str], engine: AsyncEngine, growing: Path | None, size: int, progress: Progress
) -> None:
    child = await asyncio.create_subprocess_exec(
        *words,
        env=child_environment() | environment(engine),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    ending = asyncio.create_task(child.communicate())
    try:
        while not ending.done():
            await asyncio.wait({ending}, timeout=LOOK_SECONDS)
            if growing is not None:
                progress("copying SQL", min(_size(growing), size), size)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    _, complaint = await ending
    if child.returncode:
        said = " ".join(complaint.decode(errors="replace").split())[:LARGEST_COMPLAINT]
        raise StoreUnavailable(f"{Path(words[0]).name} failed: {said}")


def _size(path: Path) -> int:
    return path.stat().st_size


async def _count(connection: AsyncConnection, table: str) -> int:
    found: int = (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()  # noqa: S608
    return found
