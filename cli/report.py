"""trilha report: a period's figures, and what stands out in them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from analytics.period import Period
from analytics.report import csv_files, terminal
from analytics.report.html import page
from analytics.report.json_form import report_json
from analytics.report.reading import ReportRequest, read_report
from analytics.report.report import Report
from backends.build import open_all_spools
from backends.spool import Spool
from backends.sql.reading import SqlReader
from cli.common import CLOCK, Json, console, run, settings, sql_of
from domain.advice import advice
from domain.click import Click, Tombstone
from domain.conversions import DeliveryState
from domain.errors import ConfigError
from domain.ids import first_uuid7
from runtime.settings import Settings


def report(
    period: Annotated[
        str | None, typer.Option("--period", help="today, yesterday, or days up to today: 30d.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Instead: the first day, as YYYY-MM-DD.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="And the last day; default: today.")] = None,
    link: Annotated[str | None, typer.Option("--link", help="Slug of the one link to report on.")] = None,
    compare: Annotated[
        list[str] | None, typer.Option("--compare", help="Slugs to compare, with commas between: A,B.")
    ] = None,
    compare_ads: Annotated[
        str | None, typer.Option("--compare-ads", help="Slug of the link whose ads --ad names.")
    ] = None,
    ads: Annotated[
        list[str] | None,
        typer.Option(
            "--ad", help="An ad to compare: its campaign, medium, content, term or key; at least two."
        ),
    ] = None,
    as_json: Json = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write a CSV file for each table into this folder.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write one HTML file.")] = None,
) -> None:
    """Report a period: clicks, starts, sales, what was not sent and why, links, ads, and what stands out."""
    given = settings()
    if bool(compare_ads) != bool(ads):
        raise ConfigError("--compare-ads SLUG goes with --ad NAME, at least two of them")
    now_ms = CLOCK.now_ms()
    days = _period(period, since, until, now_ms, ZoneInfo(given.timezone))
    request = ReportRequest(
        period=days,
        now_ms=now_ms,
        slug=link,
        links=tuple(slug.strip() for each in compare or () for slug in each.split(",")),
        ads_of=compare_ads,
        ads=tuple(ads or ()),
        in_spools=_in_spools(given, days),
    )
    found = run(_read(given, request))
    written = [*_write_html(found, html), *_write_csv(found, csv)]
    if as_json:
        print(json.dumps(report_json(found), indent=2, ensure_ascii=False))
    elif written:
        print("\n".join(f"written: {path}" for path in written))
    else:
        terminal.show(console(), found)


def _period(period: str | None, since: str | None, until: str | None, now_ms: int, zone: ZoneInfo) -> Period:
    if since is None and until is None:
        return Period.of(period or "30d", now_ms, zone)
    if period is not None or since is None:
        raise ConfigError("give --period, or --since with or without --until")
    return Period.between(since, until or Period.of("today", now_ms, zone).last.isoformat(), zone)


async def _read(given: Settings, request: ReportRequest) -> Report:
    async with sql_of(given) as engine:
        return await read_report(SqlReader(engine), request, _advice)


def _advice(lane: str, state: DeliveryState, reason: str) -> str:
    return advice(lane, state, None, reason or None)


def _in_spools(given: Settings, period: Period) -> int:
    """Clicks of the period in this machine's spools. Some may be in SQL already: never too few are told."""
    spools = open_all_spools(given)
    try:
        return sum(_waiting(spool, period) for spool in spools)
    finally:
        for spool in spools:
            spool.close()


def _waiting(spool: Spool, period: Period) -> int:
    first, end = first_uuid7(period.since_ms), first_uuid7(period.until_ms)
    waiting = set()
    for entry in spool.entries():
        for record in entry.found.records:
            match record:
                case Click(id=click_id) | Tombstone(click_id) if first <= click_id < end:
                    waiting.add(click_id)
                case _:
                    pass
    return len(waiting)


def _write_html(found: Report, path: Path | None) -> list[Path]:
    if path is None:
        return []
    try:
        path.write_text(page(found), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
    return [path]


def _write_csv(found: Report, folder: Path | None) -> Sequence[Path]:
    if folder is None:
        return []
    try:
        return csv_files.write_csv(found, folder)
    except OSError as error:
        raise ConfigError(f"cannot write into {folder}: {error.strerror}") from None
