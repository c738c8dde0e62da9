"""The archive on SQLite and on PostgreSQL, read with DuckDB as its users read it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
import pytest_asyncio
from pyarrow import parquet
from sqlalchemy import select, text, update

from analytics.archive import part as part_of
from analytics.archive.folder import HALF, PART, Folder
from analytics.archive.manifest import Manifest, read_manifest
from analytics.archive.run import Archive, Done, Request
from analytics.archive.tables import TABLES
from analytics.period import local_date
from backends.sql import archived
from backends.sql.archived import SqlArchived
from backends.sql.engine import make_engine
from backends.sql.erasure import SqlErasures
from backends.sql.retention import SqlRetention
from backends.sql.schema import clicks, starts
from domain.click import Ad
from domain.clock import ManualClock
from domain.errors import ConfigError
from tests.making import PATIENT, person_key
from tests.reporting import report_of
from tests.trading import SAO_PAULO, Trade

DAY_MS = 86_400_000
DOCS = Path(__file__).parents[2] / "docs"
GUIDE, REFERENCE = DOCS / "how-to" / "archive.md", DOCS / "reference" / "exports.md"
ZIP, NATAL = Ad("FB", "Zíper|120210001", "Conjunto", "Vídeo|120210002", "feed"), Ad("FB", "Natal")
TYPES = {
    "uuid": "UUID", "moment": "TIMESTAMP WITH TIME ZONE", "text": "VARCHAR", "int": "BIGINT", "flag": "BOOLEAN",
    "money": "DECIMAL(24,6)",
}  # fmt: skip


def owner_key(telegram_id: int) -> bytes:
    return b"owner" + telegram_id.to_bytes(11, "big")


@dataclass
class House:
    """A trade, and the archive of it."""

    trade: Trade
    path: Path
    looked: list[tuple[str, date]] = field(default_factory=list)

    @property
    def today(self) -> date:
        return local_date(self.trade.clock.now_ms(), SAO_PAULO)

    async def run(
        self,
        *,
        days: int = 3,
        click_days: int = 396,
        owners: bool = False,
        zone: Any = SAO_PAULO,
        **more: Any,
    ) -> Done:
        self.looked.clear()
        made = Archive(
            SqlArchived(self.trade.engine),
            Folder(self.path),
            zone=zone,
            click_days=click_days,
            owner_key=owner_key if owners else None,
            clock=self.trade.clock,
            told=lambda table, day, _: self.looked.append((table, day)),
        )
        return await made.run(Request(days=days, **more))

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """DuckDB, which sees a view for each table, read by its folders."""
        with duckdb.connect() as duck:
            for table in ("clicks", "starts", "conversions"):
                if [*self.path.glob(f"{table}/*/*.parquet")]:
                    duck.execute(
                        f"CREATE VIEW {table} AS FROM "
                        f"read_parquet('{self.path}/{table}/*/*.parquet', hive_partitioning = true)"
                    )
            return duck.sql(question).fetchall()

    def files(self) -> dict[str, tuple[int, int]]:
        """Every Parquet file: when it was written, and which it is."""
        return {
            str(file.relative_to(self.path)): (file.stat().st_mtime_ns, file.stat().st_ino)
            for file in self.path.rglob("*.parquet")
        }

    def manifest(self) -> Manifest:
        found = read_manifest(self.path / "manifest.json")
        assert found is not None
        return found

    def holds(self, *needles: bytes) -> bool:
        """Whether any of it stands in the archive, once its pages are unpacked."""
        said = repr([parquet.read_table(file).to_pylist() for file in self.path.rglob(PART)]).encode()
        return any(needle in said for needle in needles)

    async def erase(self, telegram_id: int) -> None:
        await SqlErasures(self.trade.engine).erase(
            telegram_id, person_key=person_key(telegram_id), at_ms=self.trade.clock.now_ms()
        )

    async def change(self, statement: Any) -> None:
        async with self.trade.engine.begin() as connection:
            await connection.execute(statement)


@pytest_asyncio.fixture(params=["sqlite_tables", "postgres_tables"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """Today five clicks, two starts, two sales; ten days ago three clicks and one of each."""
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    trade = Trade(engine, ManualClock())
    await trade.open("promo", "other")
    new = await trade.clicks(ZIP, 5, ago_ms=3_600_000)
    old = await trade.clicks(NATAL, 3, link_id=2, ago_ms=10 * DAY_MS)
    for click, currency in ((new[0], "BRL"), (new[1], "BRL"), (old[0], "USD")):
        await trade.sell(click, await trade.start(click), 97_123_456, currency)
    await trade.fold()
    yield House(trade, tmp_path / "archive")
    await engine.dispose()


# ---------------------------------------------------------------- what is in it


async def test_sums_are_those_of_the_report_and_of_the_tables(house: House) -> None:
    await house.run(days=30)
    report = await report_of(house.trade.engine, house.trade.clock.now_ms(), "30d")
    async with house.trade.engine.connect() as connection:
        counted = (
            await connection.execute(
                text(
                    "SELECT (SELECT COUNT(clicked_at) FROM clicks), (SELECT COUNT(*) FROM starts), "
                    "(SELECT COUNT(*) FROM outbox), (SELECT CAST(SUM(value) AS BIGINT) FROM outbox)"
                )
            )
        ).one()
    ((arrived, started),) = house.ask("SELECT count(*), count(started_at) FROM clicks")
    ((pressed,),) = house.ask("SELECT count(*) FROM starts")
    ((events, value),) = house.ask("SELECT count(*), sum(value) FROM conversions")
    assert (arrived, pressed, events, int(value * 1_000_000)) == tuple(counted) == (8, 3, 6, 3 * 97_123_456)
    days = {each.day: (each.counts.clicks, each.counts.starts) for each in report.days if each.counts.clicks}
    assert {
        day: (n, s)
        for day, n, s in house.ask("SELECT day, count(*), count(started_at) FROM clicks GROUP BY 1")
    } == days
    assert started == sum(each[1] for each in days.values())
    sold = house.ask(
        "SELECT currency, count(*), sum(value) FROM conversions WHERE event = 'Purchase' AND counted GROUP BY 1 ORDER BY 1"
    )
    assert [(currency, n, int(v * 1_000_000)) for currency, n, v in sold] == [
        ("BRL", 2, 194_246_912),
        ("USD", 1, 97_123_456),
    ]


async def test_days_are_those_of_the_operator_s_clock_and_rows_lie_in_the_order_of_time(house: House) -> None:
    midnight = house.trade.clock.now_ms() // DAY_MS * DAY_MS + 3 * 3_600_000  # 00:00 in São Paulo
    ago = house.trade.clock.now_ms() - midnight
    await house.trade.clicks(ZIP, 1, ago_ms=ago + 1)
    await house.trade.clicks(ZIP, 1, ago_ms=ago)
    await house.run(days=2)
    found = house.ask("SELECT day, epoch_ms(clicked_at) FROM clicks")
    assert (house.today - timedelta(days=1), midnight - 1) in found
    assert (house.today, midnight) in found
    for file in house.path.rglob(PART):
        table = parquet.read_table(file)
        (moment,) = [name for name in table.column_names if name in {"clicked_at", "event_at"}] or [
            "started_at"
        ]
        assert table[moment].to_pylist() == sorted(table[moment].to_pylist())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
async def test_types_and_compression_are_as_documented(house: House, table: Any) -> None:
    await house.run(days=30, owners=True)
    described = {name: kind for name, kind, *_ in house.ask(f"DESCRIBE {table.name}")}
    assert described == {column.name: TYPES[column.kind] for column in table.columns_with(owners=True)} | {
        "day": "DATE"
    }
    (file,) = house.path.glob(f"{table.name}/day={house.today}/{PART}")
    group = parquet.ParquetFile(file).metadata.row_group(0)
    assert {group.column(n).compression for n in range(group.num_columns)} == {"ZSTD"}


def test_every_column_is_in_the_reference_with_its_type_and_meaning_and_no_other() -> None:
    page = REFERENCE.read_text().partition("\n## The archive")[2]
    documented = {
        section.partition("`")[0]: [
            tuple(cell.strip("`") if n == 0 else cell for n, cell in enumerate(line.strip("| ").split(" | ")))
            for line in section.splitlines()
            if line.startswith("| `")
        ]
        for section in page.split("\n### `")[1:]
    }
    assert documented == {
        table.name: [(c.name, c.kind, c.meaning) for c in table.columns_with(owners=True)] for table in TABLES
    }


async def test_a_day_of_more_than_a_row_group_is_read_whole(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archived, "BATCH", 2)
    monkeypatch.setattr(part_of, "ROW_GROUP", 2)
    await house.run()
    (file,) = house.path.glob(f"clicks/day={house.today}/{PART}")
    assert parquet.ParquetFile(file).metadata.num_row_groups == 3
    assert house.ask("SELECT count(*), count(DISTINCT id) FROM clicks") == [(5, 5)]


# ---------------------------------------------------------------- who is in it


async def test_nobody_is_named_and_nothing_in_it_is_made_of_a_telegram_id_without_a_key(house: House) -> None:
    await house.change(update(clicks).values(sealed=b"SEALED!", fbclid_key=b"f" * 16))
    async with house.trade.engine.connect() as connection:
        ids = (await connection.execute(select(starts.c.id, starts.c.telegram_id))).all()
    await house.run(days=30)
    assert not house.holds(b"SEALED!", b"v" * 16, b"f" * 16, b"ORDER-", b"owner")
    assert not house.holds(*(repr(row.id).encode() for row in ids))
    numbers = {str(row.telegram_id) for row in ids}
    cells = {
        str(cell)
        for f in house.path.rglob(PART)
        for row in parquet.read_table(f).to_pylist()
        for cell in row.values()
    }
    assert not numbers & cells


async def test_with_owners_a_person_has_one_digest_and_asking_otherwise_writes_every_day_anew(
    house: House,
) -> None:
    await house.run(days=30)
    assert house.ask("SELECT count(*) FROM (DESCRIBE clicks) WHERE column_name = 'owner'") == [(0,)]
    await house.run(owners=True)
    both = house.ask("SELECT DISTINCT c.owner, s.owner FROM clicks c JOIN starts s ON s.click_id = c.id")
    assert sorted(both) == [(owner_key(n).hex(), owner_key(n).hex()) for n in (101, 102, 103)]
    await house.run()
    assert not house.holds(*(owner_key(n).hex().encode() for n in (101, 102, 103)))


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "not folded"])
async def test_an_erased_person_s_traits_go_with_the_next_run_however_old_the_day_is(
    house: House, folded: bool
) -> None:
    await house.run(days=30, owners=True)
    gone = owner_key(103).hex().encode()
    assert house.holds(gone)
    await house.erase(103)
    if folded:
        await house.trade.fold()
    done = await house.run(days=1, owners=True)
    old = house.today - timedelta(days=10)
    assert {(table, day) for table, day, _ in done.written} == {("clicks", old), ("conversions", old)}
    assert done.removed == [("starts", old)]
    assert not house.holds(gone)
    traits = "country, city, os, app, traffic_class, bot_score, started_at, bot, owner"
    assert house.ask(
        f"SELECT count(*), count(erased), {', '.join(f'count({t})' for t in traits.split(', '))} FROM clicks WHERE erased"
    ) == [(1, 1, *[0] * 9)]
    assert house.ask("SELECT count(*) FROM clicks") == [(8,)]
    assert house.ask("SELECT DISTINCT state, reason FROM conversions WHERE link_id = 2") == [
        ("skipped", "erased")
    ]


async def test_a_click_that_is_buried_after_the_erasure_was_archived_goes_too(house: House) -> None:
    """As a start of an erased person does that was spooled elsewhere, and names a click that nobody owns."""
    await house.run(days=30)
    async with house.trade.engine.connect() as connection:
        free = select(clicks.c.id).where(clicks.c.link_id == 2, clicks.c.owner_telegram_id.is_(None)).limit(1)
        click_id = (await connection.execute(free)).scalar_one()
    traits = dict.fromkeys(("country", "city", "os", "app", "traffic_class", "visitor_key"))
    await house.change(
        update(clicks).where(clicks.c.id == click_id).values(erased_at=house.trade.clock.now_ms(), **traits)
    )
    done = await house.run(days=1)
    assert [table for table, _, _ in done.written] == ["clicks"]
    assert house.ask("SELECT count(*) FROM clicks WHERE erased AND country IS NULL") == [(1,)]


async def test_an_erasure_that_a_run_could_not_finish_is_looked_for_by_the_next(house: House) -> None:
    await house.run(days=30)
    await house.erase(103)
    blocked = house.path / "conversions"
    blocked.rename(house.path / "away")
    blocked.write_text("no folder")
    with pytest.raises(ConfigError, match="cannot be written"):
        await house.run(days=1)
    blocked.unlink()
    (house.path / "away").rename(blocked)
    await house.run(days=1)
    assert house.ask("SELECT DISTINCT reason FROM conversions WHERE link_id = 2") == [("erased",)]


# ---------------------------------------------------------------- what is written again


async def test_a_day_that_has_not_changed_is_not_written_again(house: House) -> None:
    first = await house.run(days=30)
    before = house.files()
    again = await house.run(days=30, refresh=True)
    assert (len(first.written), again.written, again.removed, again.same) == (6, [], [], 6)
    assert house.files() == before
    assert not [*house.path.rglob(HALF)]


@pytest.mark.parametrize(
    "changes",
    [{"bot_score": 13}, {"traffic_class": "crawler"}, {"started_at": 1_799_200_000_000}, {"city": None}],
    ids=str,
)
async def test_refresh_writes_a_day_of_which_one_cell_has_changed_and_no_other(
    house: House, changes: dict[str, Any]
) -> None:
    await house.run(days=30)
    before = house.files()
    await house.change(update(clicks).where(clicks.c.link_id == 2).values(**changes))
    assert (await house.run(days=1)).written == []
    done = await house.run(days=1, refresh=True)
    assert [(table, day) for table, day, _ in done.written] == [("clicks", house.today - timedelta(days=10))]
    assert len(house.files().items() - before.items()) == 1


async def test_a_late_start_reaches_an_old_day_by_refresh(house: House) -> None:
    await house.run(days=30)
    async with house.trade.engine.connect() as connection:
        free = select(clicks.c.id).where(clicks.c.link_id == 2, clicks.c.owner_telegram_id.is_(None)).limit(1)
        click_id = (await connection.execute(free)).scalar_one()
    click = house.trade.click(NATAL, link_id=2)
    late = type(click)(id=click_id, link_id=2, node=0, ad_key=click.ad_key)
    await house.trade.start(late, after_ms=9 * DAY_MS)
    done = await house.run(days=1, refresh=True)
    assert {table for table, _, _ in done.written} == {"clicks", "starts", "conversions"}
    assert house.ask("SELECT count(started_at) FROM clicks WHERE link_id = 2") == [(2,)]


async def test_days_that_no_run_was_there_for_are_taken_by_the_next(house: House) -> None:
    await house.run(days=1)
    yesterday = house.today
    await house.trade.clicks(ZIP, 2)
    house.trade.clock.advance(5 * 86_400)
    await house.trade.clicks(ZIP, 4, ago_ms=2 * DAY_MS)
    await house.run(days=1)
    assert dict(house.ask("SELECT day, count(*) FROM clicks GROUP BY 1")) == {
        yesterday: 7,
        yesterday + timedelta(days=3): 4,
    }


async def test_a_file_that_was_deleted_or_cut_is_written_again(house: House) -> None:
    await house.run()
    (file,) = house.path.glob(f"clicks/day={house.today}/{PART}")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert len((await house.run()).written) == 1
    file.unlink()
    assert len((await house.run()).written) == 1
    assert file.read_bytes() == whole


# ---------------------------------------------------------------- what ends


async def test_days_that_retention_has_ended_are_removed_by_every_run(house: House) -> None:
    await house.run(days=30)
    old = house.today - timedelta(days=10)
    done = await house.run(days=1, click_days=9)
    assert sorted(done.removed) == [("clicks", old), ("conversions", old), ("starts", old)]
    assert not [*house.path.glob(f"*/day={old}")]
    assert house.ask("SELECT DISTINCT day FROM clicks") == [(house.today,)]
    assert not [day for _, day in house.looked if day <= old]


async def test_of_the_day_that_retention_is_in_the_archive_has_what_sql_has(house: House) -> None:
    await house.run(days=30)
    await house.trade.clicks(NATAL, 1, link_id=2, ago_ms=10 * DAY_MS - 3_600_000)
    await house.run(days=30)
    await SqlRetention(house.trade.engine).aggregate_and_delete(
        house.trade.clock.now_ms() - 10 * DAY_MS + 1_800_000, 500
    )
    await house.run(days=1, click_days=10)
    assert house.ask("SELECT count(*) FROM clicks WHERE link_id = 2") == [(1,)]


# ---------------------------------------------------------------- what goes wrong


async def test_a_run_that_ends_in_the_middle_leaves_the_file_as_it_was_and_no_half(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.run()
    before = house.files()
    await house.trade.clicks(ZIP, 4)
    monkeypatch.setattr(archived, "BATCH", 2)
    monkeypatch.setattr(part_of, "ROW_GROUP", 2)
    seen = 0

    def lost(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(part_of.Part, "_to_disk", _before(part_of.Part._to_disk, lost))
    with pytest.raises(ConfigError, match="No space left"):
        await house.run()
    assert seen == 3
    assert house.files() == before
    assert not [*house.path.rglob(HALF)]


def _before(then: Any, first: Any) -> Any:
    def both(self: Any) -> None:
        first(self)
        then(self)

    return both


async def test_two_runs_do_not_write_into_one_folder(house: House) -> None:
    with Folder(house.path).alone(), pytest.raises(ConfigError, match="another run"):
        await house.run()


async def test_days_of_another_time_zone_and_a_manifest_of_something_else_are_refused(house: House) -> None:
    await house.run()
    with pytest.raises(ConfigError, match="America/Sao_Paulo"):
        await house.run(zone=ZoneInfo("Asia/Tokyo"))
    (house.path / "manifest.json").write_text(json.dumps({"zone": 1}))
    with pytest.raises(ConfigError, match="no manifest"):
        await house.run()


# ---------------------------------------------------------------- what is written about it


def queries() -> list[str]:
    """The blocks of SQL of the guide that are DuckDB's."""
    section = GUIDE.read_text().partition("\n## Ask it with DuckDB")[2].partition("\n## ")[0]
    return [block.partition("```")[0] for block in section.split("```sql\n")[1:]]


@pytest.mark.parametrize("query", queries(), ids=range(len(queries())))
async def test_every_query_of_the_guide_runs_and_finds_something(house: House, query: str) -> None:
    await house.run(days=30, owners=True)
    with duckdb.connect() as duck:
        found = duck.sql(query.replace("/srv/trilha/archive", str(house.path)))
        assert found.to_arrow_table().num_rows > 0


def test_the_guide_has_queries() -> None:
    assert len(queries()) >= 5
