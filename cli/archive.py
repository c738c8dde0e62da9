"""trilha archive: clicks, starts and conversions as Parquet by day, for analytics beyond SQL (ADR 0041)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from analytics.period import MAX_DAYS, Period, local_date
from cli.common import CLOCK, Json, run, settings, show
from cli.interrupts import ended_by_sigterm
from domain.errors import ConfigError
from runtime.settings import Settings

if TYPE_CHECKING:
    from analytics.archive.run import Done, Request, Told
    from analytics.archive.tables import OwnerKey

PATIENCE = 60.0  # of one statement: SQL reads all starts to find those of a day
DAYS = 3


def archive(
    to: Annotated[Path, typer.Option("--to", help="The folder; made if it is not there.")],
    days: Annotated[
        int | None,
        typer.Option(
            "--days", help=f"So many days up to today; default {DAYS}, and those since the last run."
        ),
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="Or: the first day, as YYYY-MM-DD.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="And the last day; default: today.")] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Look at every day of the archive for what has changed since.")
    ] = False,
    with_owners: Annotated[
        bool, typer.Option("--with-owners", help="With a keyed digest of whoever started, in hex.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write clicks, starts and conversions as Parquet by day. A day that has not changed is left as it is."""
    from analytics.exports.parquet_file import arrow

    given = settings()
    request = _request(given, days, since, until, refresh=refresh)
    arrow()  # before anything is read
    try:
        with ended_by_sigterm(), _progress() as told:
            done = run(_archive(given, to, request, told, with_owners=with_owners))
    except OSError as error:
        raise ConfigError(f"{to} cannot be written: {error.strerror or error}") from None
    show(_json(done, to, given), as_json=as_json, text=_text(done))


def _request(
    given: Settings, days: int | None, since: str | None, until: str | None, *, refresh: bool
) -> "Request":
    from analytics.archive.run import Request

    zone = ZoneInfo(given.timezone)
    today = local_date(CLOCK.now_ms(), zone)
    if since is not None and days is None:
        period = Period.between(since, until or today.isoformat(), zone)
        if period.last > today:
            raise ConfigError(f"{period.last} is not over before it begins: give a day up to today, {today}")
        return Request(days=0, since=period.first, until=period.last, refresh=refresh)
    if since is not None or until is not None:
        raise ConfigError("give --days, or --since with or without --until")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise ConfigError(f"--days takes 1 to {MAX_DAYS}")
    return Request(days=days or DAYS, refresh=refresh)


async def _archive(
    given: Settings, to: Path, request: "Request", told: "Told", *, with_owners: bool
) -> "Done":
    from analytics.archive.folder import Folder
    from analytics.archive.run import Archive
    from backends.sql.archived import SqlArchived
    from backends.sql.engine import close_engine, make_engine

    engine = make_engine(given.sql, patience=PATIENCE)
    try:
        made = Archive(
            SqlArchived(engine),
            Folder(to),
            zone=ZoneInfo(given.timezone),
            click_days=given.click_days,
            owner_key=_owner_key(given) if with_owners else None,
            clock=CLOCK,
            told=told,
        )
        return await made.run(request)
    finally:
        await close_engine(engine)


def _owner_key(given: Settings) -> "OwnerKey":
    from privacy.keyring import Keyring

    return Keyring(given.secrets, CLOCK).archive_key


@contextmanager
def _progress() -> Iterator["Told"]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        bar = shown.add_task("reading", total=None)
        seen = -1

        def told(table: str, day: date, total: int) -> None:
            nonlocal seen
            seen += 1
            shown.update(bar, completed=seen, total=total, description=f"{table} {day}")

        yield told


def _json(done: "Done", to: Path, given: Settings) -> dict[str, Any]:
    return {
        "folder": str(to),
        "zone": given.timezone,
        "written": [
            {"table": table, "day": day.isoformat(), "rows": made.rows, "bytes": made.bytes}
            for table, day, made in done.written
        ],
        "removed": [{"table": table, "day": day.isoformat()} for table, day in done.removed],
        "same": done.same,
    }


def _text(done: "Done") -> str:
    lines = [
        f"{table:<12}{day}  {made.rows:>10} rows  {made.bytes:>12} bytes" for table, day, made in done.written
    ]
    lines += [f"{table:<12}{day}  removed: SQL has nothing of it any more" for table, day in done.removed]
    counted = f"{len(done.written)} files written, {len(done.removed)} removed, {done.same} as they were"
    return "\n".join([*lines, counted])
