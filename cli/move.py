"""trilha move: from SQLite to PostgreSQL while clicks arrive (ADR 0040)."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from cli.common import EXIT_FAILED, Json, run, settings, show
from domain.clock import SystemClock
from domain.errors import ConfigError
from domain.ids import random_uuid
from privacy.secret_file import private_text
from runtime.settings import Settings

if TYPE_CHECKING:
    from backends.sql.move import Compared, Move, Standing

PATIENCE = 60.0  # for SQLite's lock, and of one statement: the first of them scans a table
SQLITE, POSTGRESQL = "sqlite+aiosqlite:///", "postgresql+asyncpg://"
STEPS = {"copy": "copying", "changes": "bringing over changes", "compare": "comparing"}
DIFFERENT = "Not moved. SQLite goes on as before. Who else writes the target? Begin anew: trilha move --abandon, then trilha move"
NEXT = (
    "SQLite is not written any more. Set TRILHA_SQL_URL to the new database for every process, and start `trilha work`, "
    "`trilha bot`, `trilha dashboard` and `trilha serve` again. What came meanwhile waits in the spools, and is settled into "
    "PostgreSQL. Then keep the old file out of reach, and delete it: nothing ends in it by itself any more"
)


def move(
    target: Annotated[
        str | None, typer.Argument(help="postgresql+asyncpg:// URL without a password.", show_default=False)
    ] = None,
    target_file: Annotated[
        str | None, typer.Option("--target-file", help="File with that URL, password included, 0600.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what there is to do. Changes nothing.")
    ] = False,
    copy_only: Annotated[
        bool, typer.Option("--copy-only", help="Copy while everything runs, without the switch.")
    ] = False,
    abandon: Annotated[
        bool,
        typer.Option(
            "--abandon", help="There will be no move: stop tracking changes in SQLite, and empty the target."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Move everything from SQLite to PostgreSQL while clicks arrive. Repeat it after whatever ended it: it goes on."""
    if sum((dry_run, copy_only, abandon)) > 1:
        raise ConfigError("give one of --dry-run, --copy-only and --abandon")
    given = settings()
    url = _target(given, target, target_file)
    with Progress(console=Console(stderr=True), transient=True) as shown:
        found = run(_move(given, url, _Shown(shown), dry_run=dry_run, copy_only=copy_only, abandon=abandon))
    show(found, as_json=as_json, text=_text(found))
    if found["state"] == "different":
        sys.exit(EXIT_FAILED)


class _Shown:
    """The progress bars: one for each step, as far as it is known how long that is."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._bars: dict[str, TaskID] = {}
        self.rows = 0

    def __call__(self, step: str, table: str, rows: int) -> None:
        total = {"copy": self.rows, "compare": self.rows}.get(step)
        if step not in self._bars:
            self._bars[step] = self._shown.add_task("", total=total)
        self._shown.update(self._bars[step], advance=rows, description=f"{STEPS[step]} {table}")


async def _move(
    given: Settings, url: str, told: _Shown, *, dry_run: bool, copy_only: bool, abandon: bool
) -> dict[str, Any]:
    from backends.sql.engine import close_engine, make_engine
    from backends.sql.move import Move

    source, target = make_engine(given.sql, patience=PATIENCE), make_engine(url, patience=PATIENCE)
    made = Move(
        source,
        target,
        clock=SystemClock(),
        click_days=given.click_days,
        new_id=lambda: random_uuid().hex,
        told=told,
    )
    try:
        if abandon:
            return {"state": "abandoned", "emptied": await made.abandon()}
        standing = await made.look()
        told.rows = sum(standing.rows.values())
        if dry_run or standing.moved:
            return await _already(made, standing, dry_run=dry_run)
        async with made.alone():
            return await _whole(made, standing, copy_only=copy_only)
    finally:
        await close_engine(source)
        await close_engine(target)


async def _whole(made: "Move", standing: "Standing", *, copy_only: bool) -> dict[str, Any]:
    moments = [time.monotonic()]

    def seconds() -> float:
        moments.append(time.monotonic())
        return round(moments[-1] - moments[-2], 1)

    await made.copy()
    copied = {"copy_seconds": seconds()}
    if copy_only:
        return {"state": "copied", "rows": standing.rows} | copied
    await made.compare()
    compared = {"compare_seconds": seconds()}
    return _compared(await made.switch()) | copied | compared | {"switch_seconds": seconds()}


async def _already(made: "Move", standing: "Standing", *, dry_run: bool) -> dict[str, Any]:
    if not standing.moved:
        return {"state": "begun" if standing.begun else "not begun", "rows": standing.rows}
    if not dry_run:
        await made.tidy()
    return {"state": "moved", "tables": []}


def _compared(compared: "list[Compared]") -> dict[str, Any]:
    tables = [
        {
            "table": each.table,
            "rows": each.rows,
            "target_rows": each.target_rows,
            "different": each.different,
        }
        for each in compared
    ]
    return {"state": "moved" if all(each.equal for each in compared) else "different", "tables": tables}


def _text(found: dict[str, Any]) -> str:
    state = found["state"]
    if state in {"not begun", "begun", "copied"}:
        rows = sum(found["rows"].values())
        return {
            "not begun": f"{rows} rows are to be copied. Nothing was changed",
            "begun": f"{rows} rows, of which a part is copied. Nothing was changed: repeat it without --dry-run",
            "copied": f"{rows} rows are copied, and changes are tracked. Repeat it without --copy-only for the switch",
        }[state]
    if state == "abandoned":
        emptied = "The target was emptied" if found["emptied"] else "Drop the database that was copied to"
        return f"changes are not tracked any more. {emptied}"
    lines = [
        f"DIFFERS  {each['table']}: {each['rows']} rows in SQLite, {each['target_rows']} in PostgreSQL, {each['different']} not the same"
        for each in found["tables"]
        if each["rows"] != each["target_rows"] or each["different"]
    ]
    if lines:
        return "\n".join([*lines, DIFFERENT])
    rows = sum(each["rows"] for each in found["tables"])
    moved = (
        f"moved: {rows} rows of {len(found['tables'])} tables, equal on both sides. " if rows else "moved. "
    )
    return moved + NEXT


def _target(given: Settings, target: str | None, file: str | None) -> str:
    """Where to. ConfigError: it is said in no way or in two, or an argument holds a password."""
    if not given.sql.startswith(SQLITE) or not Path(given.sql.removeprefix(SQLITE)).is_file():
        raise ConfigError("TRILHA_SQL_URL names no SQLite file that is there: there is nothing to move from")
    if target is not None and file is not None:
        raise ConfigError("give the target or --target-file, not both")
    if target is not None and _has_password(target):
        raise ConfigError(
            "everybody on this machine can read a password among arguments. Change it if it is in use, and give the URL in "
            "TRILHA_MOVE_TO, or in a file with --target-file; or leave the password out, and give it in PGPASSWORD or ~/.pgpass"
        )
    url = target or (private_text(Path(file), "the file of the target").strip() if file else given.move_to)
    if url is None:
        raise ConfigError(
            "say where to: TRILHA_MOVE_TO, or --target-file FILE, holds a postgresql+asyncpg:// URL"
        )
    if not url.startswith(POSTGRESQL):
        raise ConfigError(f"the target must be a URL that starts with {POSTGRESQL}")
    return url


def _has_password(url: str) -> bool:
    try:
        found = urlsplit(url)
    except ValueError:
        return True
    return found.password is not None or "password" in found.query
