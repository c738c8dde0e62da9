"""trilha restore: a backup becomes the database and the spools of this machine."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from backends.backup_archive import CATALOG, POSTGRESQL, SQLITE, Manifest, Progress, as_unavailable, unpack
from backends.folders import FolderLock, private_folder
from backends.spool import WRITER_LOCK, spools_under
from backends.sql.engine import Engine, make_engine
from cli.backup import passphrase_of, progress_of
from cli.common import CLOCK, Json, local_time, run, settings, show
from domain.errors import ConfigError
from privacy.erasure_journal import ErasureJournal
from privacy.keyring import Keyring, current_period
from privacy.lasting_keys import fingerprint, opened_copy
from runtime.settings import Settings

PATIENCE = 6 * 3600.0
# PostgreSQL sees a moment later that a client has gone.
LEAVING_LOOKS, LOOK_SECONDS = 10, 0.3
# Meta takes an id once within 48 hours; an hour less for clocks and queues.
TOLD_APART_MS = 47 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did. erased_again: erasures since the backup. not_sent, waiting: conversions that waited at the backup,
    and will not be sent, or will be. bots: whose place in Telegram's updates is that of the backup again.
    """

    at_ms: int
    counts: dict[str, int]
    schema_before: str
    schema: str
    spools: int
    aside: int
    journal: bool
    erased_again: int
    not_sent: int
    waiting: int
    bots: int
    new_days: bool


def restore(
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="An archive of `trilha backup`.")],
    keys: Annotated[
        Path | None,
        typer.Option(help="Make the key ring of this copy, as `trilha backup --with-keys` wrote it."),
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(help="A file with that copy's passphrase, 0600; asked for where there is none."),
    ] = None,
    erasures: Annotated[
        Path | None, typer.Option(help="A copy of the journal of erasures, if this machine has lost its own.")
    ] = None,
    pg_restore: Annotated[
        str | None, typer.Option(help="PostgreSQL's pg_restore, if not the shell's.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is in SQL now.")] = False,
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty database, and its spools beside those that are there. Nothing may run meanwhile."""
    given = settings()
    with _nothing_runs(given), progress_of("restore") as progress:
        new_days = keys is not None
        if keys is not None:
            _make_ring(given, keys, passphrase_file)
        ring = Keyring(given.secrets, CLOCK)
        found = run(
            _Restoring(
                given=given,
                ring=ring,
                archive=archive,
                journal=erasures,
                pg_restore=pg_restore,
                force=force,
                new_days=new_days,
                progress=progress,
            ).whole()
        )
    show(asdict(found), as_json=as_json, text="\n".join(_lines(found, given)))


def _make_ring(given: Settings, copy: Path, passphrase_file: Path | None) -> None:
    if given.secrets.exists():
        raise ConfigError(
            f"{given.secrets} exists already; a key ring is never overwritten. Leave --keys out"
        )
    try:
        text = copy.read_text()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{copy} cannot be read") from None
    passphrase = passphrase_of(passphrase_file, twice=False)
    Keyring.made_of(given.secrets, CLOCK, opened_copy(text, passphrase, today=current_period(CLOCK)))


@contextmanager
def _nothing_runs(given: Settings) -> Iterator[None]:
    """Hold every lock that a process of ours holds while it lives. ConfigError when one does."""
    locks = [
        (given.home_dir / "run" / "up.lock", "trilha up"),
        (given.spools / "settler.lock", "trilha work"),
        (given.bot_sessions / "worker.lock", "trilha bot"),
        *((folder / WRITER_LOCK, "trilha serve, or a command") for folder in spools_under(given.spools)),
    ]
    with ExitStack() as held:
        for path, who in locks:
            try:
                lock = FolderLock(path, who)
            except ConfigError as error:
                raise ConfigError(f"{error}. Stop everything before a restore") from None
            held.callback(lock.release)
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class _Restoring:
    """One restore, in its order: look, unpack, SQL, keys, erasures, outbox, and the spools last."""

    given: Settings
    ring: Keyring
    archive: Path
    journal: Path | None
    pg_restore: str | None
    force: bool
    new_days: bool
    progress: Progress

    async def whole(self) -> Restored:
        from backends.backup_archive import read_manifest

        manifest = read_manifest(self.archive)
        self._check_ring(manifest)
        self._check_engine(manifest)
        journal = self._journal()
        erased = journal.read()
        tables = await self._check_empty()
        with ExitStack() as ending:
            ending.enter_context(as_unavailable(self.given.home_dir))
            folder = TemporaryDirectory(prefix=".trilha-restore-", dir=self.given.home_dir)
            staging = Path(ending.enter_context(folder))
            targets = {name: staging / name for name in manifest.names}
            if manifest.engine == "sqlite":
                targets[SQLITE] = self._draft()
                targets[SQLITE].unlink(missing_ok=True)  # of a restore that was killed
                ending.callback(targets[SQLITE].unlink, missing_ok=True)
            unpack(self.archive, targets, self.progress)
            await self._load(manifest, staging, tables=tables)
            async with self._engine() as engine:
                schema = await self._bring_up_to_date(engine)
                again, not_sent, waiting = await self._tell(engine, manifest, erased)
            bots = self._forget_places()
            spools, aside = self._put_spools(staging, manifest)
            self._put_catalog(staging)
        ErasureJournal.beside(self.given.secrets).add(erased)
        return Restored(
            at_ms=manifest.at_ms,
            counts=dict(manifest.counts),
            schema_before=manifest.schema,
            schema=schema,
            spools=spools,
            aside=aside,
            journal=journal.path.exists(),
            erased_again=again,
            not_sent=not_sent,
            waiting=waiting,
            bots=bots,
            new_days=self.new_days,
        )

    def _check_ring(self, manifest: Manifest) -> None:
        ours = fingerprint(self.ring.keys)
        if ours != manifest.ring:
            raise ConfigError(
                f"the backup belongs to the key ring {manifest.ring}, and {self.given.secrets} is {ours}: tokens would not be "
                "known again, nor who was erased. Put that ring there first: trilha keys import, or --keys FILE"
            )

    def _check_engine(self, manifest: Manifest) -> None:
        ours = "sqlite" if self.given.sql.startswith("sqlite") else "postgresql"
        if ours != manifest.engine:
            raise ConfigError(f"the backup is of {manifest.engine}, and TRILHA_SQL_URL names {ours}")

    def _journal(self) -> ErasureJournal:
        if self.journal is None:
            return ErasureJournal.beside(self.given.secrets)
        if not self.journal.exists():
            raise ConfigError(f"there is no {self.journal}")
        return ErasureJournal(self.journal)

    async def _check_empty(self) -> bool:
        """Whether there are tables; ConfigError when there is something in them, unless it may be replaced."""
        from backends.backup import sqlite_file
        from backends.sql.restoring import rows_there

        if self.given.sql.startswith("sqlite") and not sqlite_file(self.given.sql).exists():
            return False
        await self._check_unused()
        async with self._engine() as engine:
            rows = await rows_there(engine)
        if rows and not self.force:
            said = ", ".join(f"{name} {count}" for name, count in rows.items())
            raise ConfigError(
                f"SQL is not empty ({said}). To replace all of it with the backup, for good: --force. Spools that are here stay"
            )
        return rows is not None

    async def _check_unused(self) -> None:
        """ConfigError while somebody has the database open: the dashboard, another machine, a command."""
        from backends.backup import sqlite_file
        from backends.backup_replacing import others_connected
        from backends.backup_sqlite import in_use

        if self.given.sql.startswith("sqlite"):
            if await asyncio.to_thread(in_use, sqlite_file(self.given.sql)):
                raise ConfigError("a process has the database open. Stop everything before a restore")
            return
        async with self._engine() as engine:
            found: list[str] = []
            for _ in range(LEAVING_LOOKS):
                found = await others_connected(engine)
                if not found:
                    return
                await asyncio.sleep(LOOK_SECONDS)
        said = ", ".join(dict.fromkeys(found))
        raise ConfigError(
            f"{len(found)} others are connected to the database ({said}). Stop everything before a restore"
        )

    @asynccontextmanager
    async def _engine(self) -> AsyncIterator[Engine]:
        engine = make_engine(self.given.sql, patience=PATIENCE)
        try:
            yield engine
        finally:
            await engine.dispose()

    def _draft(self) -> Path:
        """Beside the database, as it is to take its place."""
        from backends.backup import sqlite_file

        target = sqlite_file(self.given.sql)
        return target.with_name(f".{target.name}.restored")

    async def _load(self, manifest: Manifest, staging: Path, *, tables: bool) -> None:
        from backends import backup, backup_postgresql

        if manifest.engine == "sqlite":
            backup.replace_sqlite(self._draft(), backup.sqlite_file(self.given.sql))
            return
        async with self._engine() as engine:
            self.progress("loading SQL", 0, 1)
            await backup_postgresql.load(
                engine, staging / POSTGRESQL, self.pg_restore, self.progress, replace=tables
            )

    async def _bring_up_to_date(self, engine: Engine) -> str:
        from backends.sql.migrate import migrate

        self.progress("migrating", 0, 1)
        return (await migrate(engine))[1]

    async def _tell(
        self, engine: Engine, manifest: Manifest, erased: dict[bytes, int]
    ) -> tuple[int, int, int]:
        """What SQL of then cannot know: whose keys are current, who was erased, what may have been sent."""
        from backends.sql.keys import SqlKeys
        from backends.sql.restoring import SqlRestored

        if self.new_days:
            table = SqlKeys(engine)
            foreign = self.ring.merge(await table.rows()).foreign
            await table.remove([row for row in await table.rows() if row.master in foreign])
        restored = SqlRestored(engine, self.ring.person_key)
        self.progress("erasing again", 0, 1)
        again = await restored.erase_again(erased)
        late = CLOCK.now_ms() - manifest.at_ms > TOLD_APART_MS
        not_sent = await restored.skip_what_may_have_been_sent(manifest.at_ms) if late else 0
        return again, not_sent, await restored.waiting()

    def _forget_places(self) -> int:
        """Where bots were in Telegram's updates is known to their files too, and newer there: starts that only the lost SQL
        had are asked for again from where the backup was.
        """
        found = sorted(self.given.bot_sessions.glob("*.state"))
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def _put_spools(self, staging: Path, manifest: Manifest) -> tuple[int, int]:
        """Last of all: whoever may settle them finds SQL ready. A folder of that name that is here stays, and both settle."""
        private_folder(self.given.spools)
        spools = aside = 0
        for name in manifest.names:
            kind, _, rest = name.partition("/")
            if kind == "spool":
                spools += 1
                folder = self.given.spools / f"restored-{manifest.at_ms}.{spools}"
                if not folder.exists():
                    shutil.move((staging / name).parent, folder)
            elif kind == "aside":
                aside += 1
                target = private_folder(self.given.spools / "aside") / rest
                if not target.exists():
                    shutil.move(staging / name, target)
        return spools, aside

    def _put_catalog(self, staging: Path) -> None:
        copy = staging / CATALOG
        if copy.exists() and not self.given.catalog_file.exists():
            self.given.catalog_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.move(copy, self.given.catalog_file)


def _lines(found: Restored, given: Settings) -> Iterator[str]:
    rows = ", ".join(f"{name} {count}" for name, count in found.counts.items())
    yield f"restored the backup of {local_time(found.at_ms, given)}: {rows}"
    yield f"schema {found.schema}" + (
        "" if found.schema == found.schema_before else f" (was {found.schema_before})"
    )
    yield f"spools {found.spools}, which trilha work settles; set aside {found.aside}"
    if found.journal:
        yield f"erased again {found.erased_again}: whoever was erased after the backup"
    else:
        yield (
            "there is no journal of erasures here: erase again everybody who was erased since the backup, by your own register"
        )
    if found.not_sent:
        yield f"not sent {found.not_sent} conversions that waited at the backup: they may have been sent since. trilha outbox list --state skipped"
    if found.waiting:
        yield f"to be sent {found.waiting} conversions; those that were sent since the backup keep their id, and count once"
    if found.bots:
        yield f"{found.bots} bots ask Telegram again for what came since the backup: some people may be answered twice"
    if found.new_days:
        yield "the ring has new keys of days: what was sealed before cannot be opened any more. Copy it to every node"
    yield "missing: what was only in SQL and came after the backup. trilha accounting, trilha doctor"
    yield "go on with: trilha doctor, then start everything"
