"""trilha export: the rollups as files for other programs."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from analytics.exports.read import EXPORTS, FORMATS, Format, blocks, export_named, read_export
from analytics.exports.table import Exported, Scope
from analytics.period import Period
from backends.sql.links import SqlCatalog
from backends.sql.reading import SqlReader
from cli.common import CLOCK, run, settings, sql_of
from domain.errors import ConfigError


def export(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(EXPORTS)}.")],
    out: Annotated[Path, typer.Option("--out", help="The file; `-` is standard output, for CSV.")],
    form: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    period: Annotated[
        str, typer.Option("--period", help="today, yesterday, or days up to today such as 30d.")
    ] = "30d",
    link: Annotated[str | None, typer.Option("--link", help="Of that link only, by its slug.")] = None,
) -> None:
    """Write the figures of a period as CSV or Parquet: ads, sales, days, classes, conversions."""
    given = settings()
    written = format_of(form)
    asked = export_named(name)
    days = Period.of(period, CLOCK.now_ms(), ZoneInfo(given.timezone))

    async def read() -> Exported:
        async with sql_of(given) as engine:
            link_id = (await SqlCatalog(engine, CLOCK).link(link)).id if link else None
            return await read_export(SqlReader(engine), asked, Scope(period=days, link_id=link_id))

    exported = run(read())
    _write(exported, written, out)
    print(f"{len(exported.rows)} rows, {days.first} to {days.last} ({given.timezone})", file=sys.stderr)


def format_of(text: str) -> Format:
    """Csv or parquet, or ConfigError."""
    for form in FORMATS:
        if text == form:
            return form
    raise ConfigError(f"not a format: {text!r}. Give {' or '.join(FORMATS)}")


def _write(exported: Exported, form: Format, out: Path) -> None:
    """Whole or not at all: a file that is there stays as it is until the new one is finished."""
    pieces = blocks(exported, form)
    if str(out) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.writelines(pieces)
        return
    half = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with half.open("wb") as file:
            file.writelines(pieces)
        half.replace(out)
    except OSError as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from None
