"""trilha rollups: how far they are, whether they are right, and making them anew."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import Progress

from analytics.tally import Tally
from backends.sql.engine import close_engine, make_engine
from backends.sql.rollup_check import Checked, Difference, SqlRollupCheck
from backends.sql.rollups import SqlRollups
from cli.common import EXIT_FAILED, Json, run, settings, show
from runtime.settings import Settings

rollups = typer.Typer(help="The figures that reports and dashboard read.", no_args_is_help=True)
PATIENCE = 60.0  # of one statement: emptying a table of figures takes its time
SHOWN = 20
AT_ONCE = 20_000


@rollups.command()
def status(as_json: Json = False) -> None:
    """How many changes wait to be folded into the rollups, and which time zone their days are of."""
    given = settings()
    show(found := run(_status(given)), as_json=as_json, text=_status_text(found))


@rollups.command()
def check(as_json: Json = False) -> None:
    """Count every click, start and conversion again and compare. Exits 1 when a figure differs."""
    given = settings()
    found = run(_check(given))
    show(_checked(found), as_json=as_json, text="\n".join(_check_text(found)))
    if found.differences:
        sys.exit(EXIT_FAILED)


@rollups.command()
def fold(as_json: Json = False) -> None:
    """Fold all that waits, at once and without a rest. `trilha work` does it by and by; this is for after a large import."""
    folded = run(_fold(settings()))
    show({"folded": folded}, as_json=as_json, text=f"{folded} changes folded")


@rollups.command()
def rebuild(as_json: Json = False) -> None:
    """Empty the rollups and count everything anew, by the days of TRILHA_TIMEZONE. Reports are short until it is done."""
    given = settings()
    rows = run(_rebuild(given))
    text = f"{rows} rows counted, by the days of {given.timezone}"
    show({"rows": rows, "zone": given.timezone}, as_json=as_json, text=text)


@asynccontextmanager
async def _rollups_of(given: Settings) -> AsyncIterator[tuple[SqlRollups, SqlRollupCheck]]:
    engine = make_engine(given.sql, patience=PATIENCE)
    try:
        yield SqlRollups(engine, given.timezone, Tally), SqlRollupCheck(engine, given.timezone, Tally)
    finally:
        await close_engine(engine)


async def _status(given: Settings) -> dict[str, Any]:
    async with _rollups_of(given) as (kept, _):
        waiting, zone = await kept.waiting(most=None), await kept.zone()
    return {"waiting": waiting, "zone": zone, "wanted_zone": given.timezone}


def _status_text(found: dict[str, Any]) -> str:
    zone = found["zone"] or "not folded yet"
    other = (
        ""
        if found["zone"] in {None, found["wanted_zone"]}
        else (f"\nTRILHA_TIMEZONE says {found['wanted_zone']}: `trilha work` rebuilds them when it begins")
    )
    return f"changes that wait  {found['waiting']}\ndays are those of  {zone}{other}"


async def _check(given: Settings) -> Checked:
    async with _rollups_of(given) as (_, counting):
        return await counting.check()


def _checked(found: Checked) -> dict[str, Any]:
    return {
        "zone": found.zone,
        "rows": found.rows,
        "waiting": found.waiting,
        "buckets": found.buckets,
        "differences": [_difference(each) for each in found.differences],
    }


def _difference(each: Difference) -> dict[str, Any]:
    return {
        "rollup": each.rollup,
        "key": _key(each),
        "kept": list(each.kept),
        "counted": list(each.counted),
    }


def _key(each: Difference) -> list[Any]:
    return [part.hex() if isinstance(part, bytes) else part for part in each.key]


def _check_text(found: Checked) -> list[str]:
    lines = [
        f"{found.rows} rows counted again, {found.buckets} figures, {found.waiting} changes waiting ({found.zone})"
    ]
    lines += [
        f"DIFFERS  {each.rollup} {_key(each)}: kept {list(each.kept)}, counted {list(each.counted)}"
        for each in found.differences[:SHOWN]
    ]
    if len(found.differences) > SHOWN:
        lines.append(f"and {len(found.differences) - SHOWN} more (--json shows all)")
    return [*lines, f"figures that differ: {len(found.differences)}" if found.differences else "All agree."]


async def _rebuild(given: Settings) -> int:
    async with _rollups_of(given) as (kept, _):
        rows = await kept.rebuild()
        await _fold_all(kept, rows)
        return rows


async def _fold(given: Settings) -> int:
    async with _rollups_of(given) as (kept, _):
        return await _fold_all(kept, await kept.waiting(most=None))


async def _fold_all(kept: SqlRollups, waiting: int) -> int:
    total = 0
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("folding", total=waiting)
        while folded := await kept.fold(AT_ONCE):
            total += folded
            progress.update(task, completed=min(total, waiting))
    return total
