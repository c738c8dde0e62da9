"""Exports on SQLite and on PostgreSQL: what was traded is in them, CSV and Parquet say the same, and no cell is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pyarrow import parquet
from sqlalchemy import text

from analytics.exports.csv_file import csv_blocks, safe
from analytics.exports.parquet_file import parquet_bytes
from analytics.exports.read import EXPORTS, export_named, read_export
from analytics.exports.table import Exported, Scope
from analytics.period import Period
from backends.sql.engine import make_engine
from backends.sql.reading import SqlReader
from domain.click import Ad
from domain.clock import ManualClock
from domain.errors import ConfigError
from tests.making import PATIENT
from tests.trading import SAO_PAULO, Trade

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "exports.md"
FORMULA = Ad("FB", '=HYPERLINK("http://x")|1202100001', "@sum", "-1+1", "+55")


@pytest_asyncio.fixture(params=["sqlite_tables", "postgres_tables"])
async def trade(request: pytest.FixtureRequest) -> AsyncIterator[Trade]:
    """Two ads of two links, one whose names are formulas; starts and sales in two currencies."""
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    made = Trade(engine, ManualClock())
    await made.open("promo", "other")
    people = await made.clicks(FORMULA, 4)
    await made.clicks(FORMULA, 2, kind="crawler")
    others = await made.clicks(Ad("FB", "Natal"), 3, link_id=2, ago_ms=86_400_000)
    for click, currency in ((people[0], "BRL"), (people[1], "BRL"), (others[0], "USD")):
        await made.sell(click, await made.start(click), 97_123_456, currency)
    await made.fold()
    yield made
    await engine.dispose()


async def exported(trade: Trade, name: str, link_id: int | None = None) -> Exported:
    period = Period.of("7d", trade.clock.now_ms(), SAO_PAULO)
    return await read_export(
        SqlReader(trade.engine), export_named(name), Scope(period=period, link_id=link_id)
    )


def as_csv(found: Exported) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(csv_blocks(found)).decode(), newline="")))


def said(value: Any) -> str:
    """A cell of Parquet as CSV writes it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return safe(value) if isinstance(value, str) else str(value)


@pytest.mark.parametrize("name", EXPORTS)
async def test_parquet_read_back_is_what_the_csv_says(trade: Trade, name: str) -> None:
    found = await exported(trade, name)
    table = parquet.read_table(io.BytesIO(parquet_bytes(found)))
    rows = as_csv(found)
    assert rows
    assert table.column_names == [column.name for column in found.export.columns] == list(rows[0])
    assert [{key: said(value) for key, value in row.items()} for row in table.to_pylist()] == rows


@pytest.mark.parametrize("name", EXPORTS)
async def test_an_export_of_nothing_has_its_columns_in_both(trade: Trade, name: str) -> None:
    found = await exported(trade, name, link_id=999)
    assert found.rows == []
    table = parquet.read_table(io.BytesIO(parquet_bytes(found)))
    assert b"".join(csv_blocks(found)).decode().strip().split(",") == table.column_names


async def test_sums_are_those_of_a_recount(trade: Trade) -> None:
    async with trade.engine.connect() as connection:
        clicks, value = (
            await connection.execute(
                text(
                    "SELECT (SELECT COUNT(clicked_at) FROM clicks), (SELECT SUM(value) FROM outbox WHERE currency = 'BRL')"
                )
            )
        ).one()
    for name in ("ads", "days", "classes"):
        assert sum(int(row["clicks"]) for row in as_csv(await exported(trade, name))) == clicks == 9
    for name in ("sales", "conversions"):
        rows = [row for row in as_csv(await exported(trade, name)) if row["currency"] == "BRL"]
        assert sum(Decimal(row["value"]) for row in rows) * 1_000_000 == int(value) == 2 * 97_123_456


async def test_an_ad_has_its_names_ids_and_rates(trade: Trade) -> None:
    (row,) = as_csv(await exported(trade, "ads", link_id=1))
    assert (row["campaign_id"], row["clicks"], row["clicks_of_people"], row["starts"]) == (
        "1202100001",
        "6",
        "4",
        "2",
    )
    assert float(row["match_rate"]) == pytest.approx(2 / 6)
    assert float(row["match_low"]) < 2 / 6 < float(row["match_high"])


async def test_days_are_local_and_begin_at_a_utc_moment(trade: Trade) -> None:
    found = await exported(trade, "days")
    assert found.rows[0][:3] == (
        date(2027, 1, 14),
        datetime(2027, 1, 14, 3, tzinfo=UTC),
        "America/Sao_Paulo",
    )


async def test_no_cell_of_a_csv_is_a_formula_whatever_an_ad_is_called(trade: Trade) -> None:
    (row,) = as_csv(await exported(trade, "ads", link_id=1))
    assert row["campaign"] == '\'=HYPERLINK("http://x")'
    assert (row["ad_set"], row["ad"], row["placement"]) == ("'@sum", "'-1+1", "'+55")


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1"])
def test_what_a_spreadsheet_would_run_gets_an_apostrophe_and_nothing_else_does(text: str) -> None:
    assert safe(text) == f"'{text}"
    assert safe(f"a{text}") == f"a{text}"
    assert safe("") == ""


def test_an_export_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="ads, sales, days, classes, conversions"):
        export_named("people")


def test_every_column_is_in_the_reference_with_its_type_and_meaning_and_no_other() -> None:
    sections = REFERENCE.read_text().partition("\n## The archive")[0].split("\n## `")[1:]
    documented = {part.partition("`")[0]: _columns(part) for part in sections}
    assert documented == {
        export.name: [(column.name, column.kind, column.meaning) for column in export.columns]
        for export in EXPORTS.values()
    }


def _columns(section: str) -> list[tuple[str, ...]]:
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [(name.strip("`"), kind, meaning) for name, kind, meaning in rows]
