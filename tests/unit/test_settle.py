"""Settling moves every record, trims only after COMMIT, and lets no bad record hold up the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from backends.codec import encode
from backends.spool import ASIDE, Fact, spools_under
from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.migrate import migrate
from backends.sql.schema import accounting, clicks, outbox, starts
from daemon.settle import TARGET_SECONDS, Settler
from domain.attribution import Start
from domain.batch_size import BatchSize
from domain.books import BookEntry
from domain.click import Click
from domain.clock import ManualClock
from domain.conversions import Conversion
from domain.enrichment import Enrichment
from domain.errors import RecordRejected, StoreUnavailable
from domain.outcomes import Found
from domain.ports import NOTHING_ADDED
from tests.making import NOW, PATIENT, bare_click, full_click, make_spool, person_key, spool_beside, start_of


class Flaky:
    """The real ledger, which loses its answer, fails, or refuses one record, when told to."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self.lose_answer = False
        self.down = False
        self.poison: set[object] = set()

    async def settle(
        self,
        batch: Sequence[Click],
        begun: Sequence[Start],
        books: Sequence[BookEntry],
        erased: Sequence[UUID] = (),
        enrichments: Mapping[UUID, Enrichment] = NOTHING_ADDED,
        reported: Sequence[Conversion] = (),
    ) -> None:
        if self.down:
            raise StoreUnavailable("down")
        if any(record.id in self.poison for record in (*batch, *begun, *reported)):
            raise RecordRejected("poison")
        await self._ledger.settle(batch, begun, books, erased, enrichments, reported)
        if self.lose_answer:
            raise StoreUnavailable("the answer to COMMIT was lost")

    record_start = None
    row = None


class Workbench:
    def __init__(self, root: Path, ledger: SqlLedger) -> None:
        self.root = root
        self.ledger = ledger
        self.flaky = Flaky(ledger)
        self.settler = self.make_settler()

    def make_settler(self, batch: int = 4, clock: ManualClock | None = None) -> Settler:
        return Settler(
            folders=lambda: spools_under(self.root),
            open_spool=spool_beside,
            ledger=self.flaky,  # type: ignore[arg-type]
            enrich=lambda batch: {click.id: Enrichment() for click in batch},
            clock=clock or ManualClock(),
            batch=batch,
        )

    def spool(self, *facts: Fact, name: str = "daemon") -> None:
        spool = make_spool(self.root / name, boot=name)
        spool.append([(fact, encode(fact)) for fact in facts])
        spool.close()

    def waiting(self, name: str = "daemon") -> int:
        """Records in a spool; none when it has been removed."""
        if not (self.root / name).exists():
            return 0
        spool = spool_beside(self.root / name)
        number = sum(len(entry.found.records) for entry in spool.entries())
        spool.close()
        return number

    async def count(self, table: object) -> int:
        async with self.ledger._engine.connect() as connection:
            return (await connection.execute(select(func.count()).select_from(table))).scalar_one()  # type: ignore[arg-type]


@pytest.fixture
async def bench(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Workbench]:
    engine = make_engine(sqlite_url, patience=PATIENT)
    await migrate(engine)
    (tmp_path / "spools").mkdir()
    made = Workbench(tmp_path / "spools", SqlLedger(engine, person_key))
    yield made
    await made.settler.close()
    await engine.dispose()


async def test_every_record_of_every_spool_moves_and_the_spools_are_empty(bench: Workbench) -> None:
    batch = [full_click() for _ in range(9)]
    bench.spool(*batch[:6], *(start_of(click) for click in batch[:3]))
    bench.spool(*batch[6:], BookEntry(node=0, boot="x", minute=1, issued=3), name="other")
    await bench.settler.drain()
    assert (bench.waiting(), bench.waiting("other")) == (0, 0)
    assert [await bench.ledger.find(click.id) for click in batch] == [Found(click) for click in batch]
    assert (await bench.count(starts), await bench.count(outbox), await bench.count(accounting)) == (3, 3, 3)


async def test_settling_is_behind_while_a_spool_gives_whole_batches(bench: Workbench) -> None:
    """What others do in SQL gives way meanwhile."""
    bench.spool(*(full_click() for _ in range(160)))
    seen = [bench.settler.behind]
    while await bench.settler.once():
        seen.append(bench.settler.behind)
    assert (seen[:2], bench.settler.behind) == ([False, True], False)


async def test_nothing_is_trimmed_when_sql_is_down(bench: Workbench) -> None:
    bench.spool(*(full_click() for _ in range(3)))
    before = bench.waiting()
    bench.flaky.down = True
    with pytest.raises(StoreUnavailable):
        await bench.settler.drain()
    assert bench.waiting() == before
    bench.flaky.down = False
    await bench.settler.drain()
    assert (bench.waiting(), await bench.count(clicks)) == (0, 3)


async def test_dying_between_commit_and_trim_settles_again_without_effect(bench: Workbench) -> None:
    """I12: the records are in SQL and still in the spool; the next settler finds the same state and trims."""
    batch = [full_click() for _ in range(3)]
    bench.spool(*batch, *(start_of(click) for click in batch))
    bench.flaky.lose_answer = True
    with pytest.raises(StoreUnavailable):
        await bench.settler.once()
    assert bench.waiting() == 7
    bench.flaky.lose_answer = False
    successor = bench.make_settler(batch=2)
    await successor.drain()
    await successor.close()
    assert bench.waiting() == 0
    assert (await bench.count(clicks), await bench.count(starts), await bench.count(outbox)) == (3, 3, 3)


async def test_a_damaged_record_is_set_aside_and_the_others_move(bench: Workbench) -> None:
    bad, good = full_click(), full_click()
    spool = make_spool(bench.root / "daemon")
    spool.append([(bad, b"garbage"), (good, encode(good))])
    spool.close()
    await bench.settler.drain()
    assert bench.waiting() == 0
    assert await bench.ledger.find(good.id) == Found(good)
    [kept] = (bench.root / ASIDE).iterdir()
    assert kept.read_bytes() == b"garbage"


async def test_a_record_that_sql_refuses_is_set_aside_alone(bench: Workbench) -> None:
    batch = [full_click() for _ in range(4)]
    bench.spool(*batch)
    bench.flaky.poison = {batch[1].id}
    await bench.settler.drain()
    assert bench.waiting() == 0
    assert await bench.count(clicks) == 3
    [kept] = (bench.root / ASIDE).iterdir()
    assert kept.read_bytes() == encode(batch[1])


async def test_a_start_may_be_settled_before_its_click(bench: Workbench) -> None:
    click = bare_click()
    bench.spool(start_of(click))
    await bench.settler.drain()
    bench.spool(click, name="late")
    await bench.settler.drain()
    row = await bench.ledger.row(click.id)
    assert row is not None
    assert (row.click, row.owner, row.started_at_ms, row.spooled) == (
        click,
        start_of(click).owner,
        NOW + 1000,
        True,
    )


async def test_draining_ends_in_its_time_while_clicks_keep_coming_and_what_is_left_stays(
    bench: Workbench,
) -> None:
    clock = ManualClock()
    spool = make_spool(bench.root / "daemon")
    into_sql = bench.flaky.settle

    def click() -> None:
        made = bare_click()
        spool.append([(made, encode(made))])

    async def settle_while_another_comes(*facts: Any) -> None:
        await into_sql(*facts)
        clock.advance(1.0)
        click()

    bench.flaky.settle = settle_while_another_comes  # type: ignore[method-assign]
    settler = bench.make_settler(clock=clock)
    click()
    await settler.drain(seconds=3.0)
    await settler.close()
    assert await bench.count(clicks) == 3
    assert spool.newest(10)
    spool.close()


async def test_an_empty_root_is_drained(bench: Workbench) -> None:
    assert await bench.settler.drain() == 0


async def test_a_spool_that_cannot_be_read_holds_up_no_other(bench: Workbench) -> None:
    click = bare_click()
    bench.spool(click)
    for name, content in (("a-broken", b"no database" * 1000), ("b-broken", b"")):
        (bench.root / name).mkdir(mode=0o700)
        (bench.root / name / "cache.db").write_bytes(content)
    (bench.root / "c-open").mkdir(mode=0o755)
    (bench.root / "c-open" / "cache.db").write_bytes(b"")
    await bench.settler.drain()
    assert await bench.ledger.find(click.id) == Found(click)
    assert (bench.root / "a-broken" / "cache.db").exists()


async def test_an_empty_spool_goes_once_its_writer_has_gone_and_not_before(bench: Workbench) -> None:
    writer = make_spool(bench.root / "daemon")
    click = bare_click()
    writer.append([(click, encode(click))])
    await bench.settler.drain()
    assert (bench.root / "daemon").exists()
    writer.close()
    await bench.settler.drain()
    assert not (bench.root / "daemon").exists()
    assert await bench.ledger.find(click.id) == Found(click)


def test_the_batch_grows_while_sql_is_quick_and_halves_when_it_is_slow() -> None:
    size = BatchSize(2000, TARGET_SECONDS)
    seen = []
    for _ in range(9):
        size.took(size.now, 0.01)
        seen.append(size.now)
    assert seen == [150, 225, 337, 505, 757, 1135, 1702, 2000, 2000]
    for _ in range(9):
        size.took(size.now, 1.0)
    assert size.now == 25
    size.took(3, 0.001)
    assert size.now == 25, "a batch that was not full says nothing about a larger one"
