"""A pass ends what is due, rests between its steps, and lets no part that fails hold up another."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.spool import ASIDE
from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.migrate import migrate
from backends.sql.retention import SqlRetention, Waiting
from backends.sql.schema import outbox
from cli.doctor import overdue
from daemon.retention import DAY_MS, Bounds, Done, Due, Retention
from domain.attribution import Owner, Start
from domain.clock import ManualClock
from domain.conversions import PURCHASE, UNATTRIBUTED, order_event_id
from domain.errors import ConfigError
from privacy.record import Record
from privacy.retention import ASIDE_DAYS
from runtime.settings import load_settings
from tests.making import NOW, PATIENT, full_click, new_id, person_key, start_of


class RingOfDays:
    """Keys of days, or a ring that cannot be written."""

    def __init__(self) -> None:
        self.days = set(range(NOW // DAY_MS - 10, NOW // DAY_MS + 8))
        self.broken = False

    def destroy_before(self, period: int, /) -> int:
        if self.broken:
            raise ConfigError("the key ring is damaged")
        old = {day for day in self.days if day < period}
        self.days -= old
        return len(old)


class Bench:
    def __init__(self, home: Path) -> None:
        url = f"sqlite+aiosqlite:///{home / 'trilha.db'}"
        self.settings = load_settings({"TRILHA_HOME_DIR": str(home), "TRILHA_SQL_URL": url})
        self.engine = make_engine(url, patience=PATIENT)
        self.ledger = SqlLedger(self.engine, person_key)
        self.clock = ManualClock(now_ms=NOW)
        self.keys = RingOfDays()
        self.rests: list[float] = []
        self.retention = Retention(
            SqlRetention(self.engine), self.settings, self.clock, keys=self.keys, batch=2, rest=self.rest
        )

    async def rest(self, seconds: float) -> None:
        self.rests.append(seconds)

    async def click(self, days: float, count: int = 1) -> None:
        """Clicks so many days ago, each with its owner."""
        batch = [full_click(id=new_id(NOW - int(days * DAY_MS) - n)) for n in range(count)]
        await self.ledger.settle(batch, [start_of(click) for click in batch], [])

    async def conversion(self, days: float, count: int = 1) -> None:
        """Conversions so many days ago of somebody whose click is not known, reported with digests."""
        at_ms = NOW - int(days * DAY_MS)
        rows = [
            {
                "event_id": order_event_id(1, PURCHASE, f"{days}/{n}"),
                "lane": UNATTRIBUTED,
                "event": PURCHASE,
                "event_at": at_ms - n,
                "next_at": at_ms,
                "person": {"em": ["00"]},
                "state": "pending",
            }
            for n in range(count)
        ]
        async with self.engine.begin() as connection:
            await connection.execute(outbox.insert(), rows)

    def aside(self, days: float) -> Path:
        """A file set aside so many days ago."""
        path = self.settings.spools / ASIDE / f"{days}.bin"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(b"damaged")
        os.utime(path, (NOW / 1000 - days * 86400,) * 2)
        return path


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    await migrate(made.engine)
    yield made
    await made.engine.dispose()


async def test_a_pass_does_all_that_is_due_in_steps_with_rests_and_the_next_has_nothing_to_do(
    bench: Bench,
) -> None:
    await bench.click(8, count=3)
    await bench.click(400, count=2)
    await bench.click(1)
    direct = Start.direct(Owner(bot_id=1, telegram_id=9), at_ms=NOW - 397 * DAY_MS, update_id=1)
    await bench.ledger.record_start(direct, None)
    await bench.conversion(8, count=2)
    await bench.conversion(400, count=3)
    done = await bench.retention.pass_()
    assert done == Done(keys=3, originals=5, digests=5, clicks=2, starts=3, bot_users=1, events=5)
    assert len(bench.rests) == 3 + 3 + 1 + 1 + 2 + 1
    assert not (await bench.retention.pass_()).anything
    assert await bench.retention.due() == Due(
        originals=Waiting(rows=0, oldest_ms=None),
        digests=Waiting(rows=0, oldest_ms=None),
        clicks=Waiting(rows=0, oldest_ms=None),
        starts=Waiting(rows=0, oldest_ms=None),
        events=Waiting(rows=0, oldest_ms=None),
        bot_users=Waiting(rows=0, oldest_ms=None),
        files=Waiting(rows=0, oldest_ms=None),
    )


async def test_the_keys_of_a_day_go_when_its_last_click_has_had_all_its_days(bench: Bench) -> None:
    """A click of that day's last millisecond could be opened for seven full days."""
    day = NOW // DAY_MS - 7
    assert Bounds.at((day + 8) * DAY_MS - 1, bench.settings).period == day
    assert Bounds.at((day + 8) * DAY_MS, bench.settings).period == day + 1
    await bench.retention.pass_()
    assert min(bench.keys.days) == day


async def test_a_part_that_fails_holds_up_no_other_and_is_named(bench: Bench) -> None:
    await bench.click(8)
    bench.keys.broken = True
    done = await bench.retention.pass_()
    assert (done.originals, done.failed) == (1, ("destroy keys",))


async def test_sql_that_is_away_does_not_keep_the_keys(tmp_path: Path) -> None:
    bench = Bench(tmp_path)  # no tables
    done = await bench.retention.pass_()
    assert (done.keys, done.failed) == (3, ("forget", "drop", "delete", "delete sessions", "delete alerts"))
    await bench.engine.dispose()


async def test_files_set_aside_are_deleted_after_their_days_and_not_before(bench: Bench) -> None:
    old, young = bench.aside(ASIDE_DAYS + 0.01), bench.aside(ASIDE_DAYS - 0.01)
    assert (await bench.retention.due()).files.rows == 1
    assert (await bench.retention.pass_()).files == 1
    assert (old.exists(), young.exists()) == (False, True)


async def test_doctor_speaks_of_what_is_overdue_by_a_day_and_not_of_what_is_merely_due(
    bench: Bench,
) -> None:
    bounds = Bounds.at(NOW - DAY_MS, bench.settings)
    await bench.click(7.5)
    bench.aside(ASIDE_DAYS + 0.5)
    assert overdue(await bench.retention.due(), bounds) == []
    await bench.click(8.5)
    await bench.conversion(398.5)
    bench.aside(ASIDE_DAYS + 1.5)
    late = ["originals", "digests in conversions", "conversions", "records set aside"]
    assert overdue(await bench.retention.due(), bounds) == late


def test_a_click_may_not_be_deleted_while_its_token_lives() -> None:
    """I5: it could be won a second time."""
    load_settings({"TRILHA_ATTRIBUTION_DAYS": "60", "TRILHA_CLICK_DAYS": "61"})
    for given in ({"TRILHA_CLICK_DAYS": "60"}, {}):
        with pytest.raises(
            ConfigError, match=r"TRILHA_CLICK_DAYS: .*must be more than TRILHA_ATTRIBUTION_DAYS"
        ):
            load_settings({"TRILHA_ATTRIBUTION_DAYS": "60" if given else "400"} | given)


@pytest.mark.parametrize(("language", "blank"), [("en", "[TO FILL IN]"), ("pt-BR", "[A PREENCHER]")])
def test_the_record_has_all_that_the_law_asks_for_and_says_what_is_left_to_fill_in(
    language: str, blank: str
) -> None:
    settings = load_settings({"TRILHA_SEALED_DAYS": "5"})
    record = Record.of(settings, language, controller="Loja Exemplo Ltda.")  # type: ignore[arg-type]
    values = record.values()
    assert (values["controller"], values["contact"]) == ("Loja Exemplo Ltda.", blank)
    assert all(values[name] for name in ("purposes", "data_subjects", "categories", "sharing", "retention"))
    [sealed] = [row for row in values["retention"] if row["fields"] == ["clicks.sealed"]]
    assert sealed["kept_for"].startswith("5 ")
    for part in ("Loja Exemplo Ltda.", blank, sealed["kept_for"], values["security_measures"][0]):
        assert part in record.text()
