"""I14: every store is filled with a marked visit, the clock passes each deadline, and nothing outlives its row."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from sqlalchemy import func, select

from backends.build import open_spool
from backends.codec import encode
from backends.redis import RedisStore
from backends.spool import ASIDE, spools_under
from backends.sql.engine import make_engine
from backends.sql.erasure import SqlErasures
from backends.sql.keys import SqlKeys
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.migrate import migrate
from backends.sql.operator_schema import IDLE_MS, LONGEST_MS, alert_judges, alerts, sessions
from backends.sql.outbox import SqlOutbox
from backends.sql.people import SqlPeople
from backends.sql.retention import SqlRetention
from backends.sql.schema import outbox
from backends.sql.tables import metadata
from backends.sql.users import SqlUsers
from chaos.servers import ValkeyServer
from daemon.retention import DAY_MS, Retention
from daemon.settle import Settler
from domain.attribution import Owner, Start
from domain.books import BookEntry
from domain.click import Ad, Click, Visit
from domain.clock import ManualClock
from domain.conversions import order_event_id
from domain.enrichment import Agent, Enrichment, Geo, Score, Scores, Traffic
from domain.people import Reply
from privacy.keyring import Keyring
from privacy.pseudonymise import Pseudonymiser
from privacy.retention import TABLE
from privacy.retention_row import Row
from privacy.seal import Sealer
from privacy.sharing import Sharing
from runtime.settings import load_settings
from tests.daemon_fixture import captured_logs
from tests.making import NOW, PATIENT, make_spool, new_id, person_key, start_of

IP = "203.0.113.77"
AGENT = "Mozilla/5.0 (Linux; Android 14; marked-device) Instagram 300.0"
FBCLID = "IwAR_marked_fbclid_0123456789"
FBP = "fb.1.1700000000000.9876543210"
RAW = [mark.encode() for mark in (IP, AGENT, FBCLID, FBP, "https://l.instagram.com/marked-page")]
ADDED = Enrichment(
    geo=Geo("BR", "SP", "São Paulo", 28573, "marked 2026-06"),
    agent=Agent("phone", "Android", "14", "Chrome", "126", "Instagram", "tool", "robot"),
    traffic=Traffic("in_app", ("agent:instagram",)),
    scores=Scores(Score(1), Score(2), 3, 4),
    repeats=1,
)
HOUR = timedelta(hours=1)
LANE = "meta/123456789"
# Filled by the scoring, which does not run here, or only when something else empties the row.
NEVER_SET = {"clicks.scored_at", "clicks.erased_at"}
# An alert that is over, and the worker that judged it.
ALERT = {"rule": "lane_held", "subject": LANE, "detail": {"measured": 1.0}}
ALERT |= dict.fromkeys(("since", "fired_at", "told_at", "cleared_at", "resolved_at"), NOW)
JUDGE = {"node": 0, "judged_at": NOW, "waits_since": NOW}
REPORTED = {"event": "Purchase", "event_at": NOW, "next_at": NOW, "state": "pending"}
REPORTED |= {"bot_id": 1, "telegram_id": 8, "value": 5_000_000, "currency": "BRL", "order_id": "A-1"}
REPORTED |= {"custom": {"content_name": "x"}, "person": {"em": ["00"]}}


class House:
    """Every store, with one marked visit in each."""

    def __init__(self, home: Path, sql_url: str, valkey: ValkeyServer) -> None:
        given = {"TRILHA_HOME_DIR": str(home), "TRILHA_SQL_URL": sql_url, "TRILHA_CLICK_TTL": "1"}
        self.settings = load_settings(given)
        self.clock = ManualClock(now_ms=NOW)
        self.valkey = valkey
        self.ring = Keyring.create(self.settings.secrets, self.clock)
        self.engine = make_engine(sql_url, patience=PATIENT)
        self.ledger = SqlLedger(self.engine, person_key)
        self.retention = Retention(
            SqlRetention(self.engine),
            self.settings,
            self.clock,
            keys=Keyring(self.settings.secrets, self.clock),
            rest=_no_rest,
        )
        self.click = self._visit()

    def _visit(self) -> Click:
        visit = Visit(
            method="GET",
            at_ms=NOW,
            ip=IP,
            user_agent=AGENT,
            fbclid=FBCLID,
            fbc_cookie="",
            fbp_cookie=FBP,
            referer="https://l.instagram.com/marked-page",
            language="pt-BR",
            prefetch="",
            params={"utm_source": "ig"},
            ad=Ad("ig"),
        )
        maker = Pseudonymiser(self.ring, Sealer(self.ring))
        return maker.click(visit, click_id=new_id(NOW), link_id=1, node=0, ad_key=b"marked-0")

    async def fill(self) -> None:
        await migrate(self.engine)
        catalog = SqlCatalog(self.engine, self.clock)
        await catalog.add_bot("shop_bot")
        await catalog.add_link("one", bot="shop_bot", pixel="123456789")
        await self._operate()
        await SqlErasures(self.engine).erase(99, person_key=person_key(99), at_ms=NOW)
        redis = RedisStore(self.valkey.url, ttl_ms=self.settings.click_ttl * 1000)
        await redis.probe()
        await redis.put(self.click)
        await redis.close()
        minute = NOW // 60_000
        books = BookEntry(node=0, boot="daemon", minute=minute, issued=1, synced=1, visible=1)
        spool = make_spool(self.settings.spools / "daemon", boot="daemon")
        facts = [self.click, start_of(self.click), books]
        facts.append(Start.direct(Owner(bot_id=1, telegram_id=8), at_ms=NOW, update_id=1))
        spool.append([(fact, encode(fact)) for fact in facts])
        spool.close()
        aside = self.settings.spools / ASIDE / "daemon.c.bin"
        aside.parent.mkdir(mode=0o700)
        aside.write_bytes(encode(self.click))
        os.utime(aside, (NOW / 1000, NOW / 1000))

    async def _operate(self) -> None:
        """Somebody who is at the dashboard to the end of their session, and an alert."""
        user = await SqlUsers(self.engine, self.clock).add("Ana", "owner", "a hash")
        times = {
            "created_at": NOW,
            "seen_at": NOW + LONGEST_MS - IDLE_MS // 2,
            "expires_at": NOW + LONGEST_MS,
        }
        async with self.engine.begin() as connection:
            await connection.execute(sessions.insert(), {"digest": bytes(32), "user_id": user.id, **times})
            await connection.execute(alerts.insert(), ALERT)
            await connection.execute(alert_judges.insert(), JUDGE)

    async def settle(self) -> None:
        settler = Settler(
            folders=lambda: spools_under(self.settings.spools),
            open_spool=lambda folder: open_spool(self.settings, folder),
            ledger=self.ledger,
            enrich=lambda batch: {click.id: ADDED for click in batch},
            clock=self.clock,
            batch=100,
        )
        await settler.drain()
        await settler.once()  # and removes the spool, whose writer is gone
        await settler.close()
        await self.ledger.settle([self.click], [], [], (), {self.click.id: ADDED})
        start, people = start_of(self.click), SqlPeople(self.engine)
        await people.note_replies([Reply(start_id=start.id, outcome="sent", at_ms=NOW + 2000)])
        await people.note_block(start.owner, blocked=True, at_ms=NOW + 3000)
        await self._convert()

    async def _convert(self) -> None:
        """A conversion of the click that was sent, one that ended, and one of somebody whose click is not known."""
        ids = [order_event_id(1, "Purchase", str(n)) for n in range(3)]
        rows = [REPORTED | {"event_id": ids[n], "lane": LANE, "click_id": self.click.id} for n in range(2)]
        rows.append(REPORTED | {"event_id": ids[2], "lane": "", "click_id": None})
        async with self.engine.begin() as connection:
            await connection.execute(outbox.insert(), rows)
        box = SqlOutbox(self.engine)
        await box.sent(LANE, {ids[0]: ("em", "fbc")}, trace="AbC", at_ms=NOW + 4000)
        await box.end(LANE, [ids[1]], "rejected", reason="the event is bad", code="2804009")

    async def at(self, age: timedelta) -> None:
        """That long after the visit, and a pass."""
        self.clock.advance((NOW + age / timedelta(milliseconds=1) - self.clock.now_ms()) / 1000)
        done = await self.retention.pass_()
        assert done.failed == ()
        await Sharing(Keyring(self.settings.secrets, self.clock), SqlKeys(self.engine), self.clock).exchange()

    def life(self, row: Row) -> timedelta:
        """Its span; none at all where no clock ends it."""
        return row.life.under(self.settings) or timedelta()

    async def values_of(self, row: Row) -> dict[str, int]:
        """How many values there are in each column of the row."""
        found = {}
        async with self.engine.connect() as connection:
            for name in row.fields:
                table, _, column = name.partition(".")
                wanted = select(func.count(metadata.tables[table].c[column]))
                found[name] = (await connection.execute(wanted)).scalar_one()
        return found

    async def everything(self) -> bytes:
        """Every byte of every store."""
        for command in ("CONFIG SET rdbcompression no", "SAVE"):
            assert self.valkey.command(command) == b"+OK"
        parts = [(self.valkey.directory / "dump.rdb").read_bytes()]
        parts += [path.read_bytes() for path in self.settings.home_dir.rglob("*") if path.is_file()]
        if self.engine.dialect.name == "postgresql":
            parts += [part async for part in self._rows()]
        return b"\0".join(parts)

    async def _rows(self) -> AsyncIterator[bytes]:
        async with self.engine.connect() as connection:
            for table in metadata.sorted_tables:
                for row in await connection.execute(select(table)):
                    for value in row:
                        yield value if isinstance(value, bytes) else str(value).encode()

    async def redis_is_empty(self) -> None:
        async with asyncio.timeout(PATIENT):
            while self.valkey.command("DBSIZE") != b":0":
                await asyncio.sleep(0.02)

    def opened(self) -> bool:
        """Whether the ring, as it is on the disk, opens the seal."""
        ring = Keyring(self.settings.secrets, self.clock)
        assert self.click.sealed is not None
        return Sealer(ring).open(self.click.sealed, self.click.id) is not None


async def _no_rest(_seconds: float) -> None:
    return


@pytest.fixture
def logs() -> Iterator[StringIO]:
    with captured_logs() as page:
        yield page


@pytest.fixture(params=["sqlite_url", "postgres_url"])
async def house(
    request: pytest.FixtureRequest, tmp_path: Path, valkey: ValkeyServer, valkey_url: str
) -> AsyncIterator[House]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    url = request.getfixturevalue(request.param)
    if "sqlite" in url:
        url = f"sqlite+aiosqlite:///{home / 'trilha.db'}"
    made = House(home, url, valkey)
    await made.fill()
    yield made
    await made.engine.dispose()


def rows(store: str, of: Callable[[Row], bool] = lambda _row: True) -> list[Row]:
    return [row for row in TABLE if row.store == store and of(row)]


async def test_nothing_outlives_its_row_of_the_retention_table(house: House, logs: StringIO) -> None:
    """Each SQL column is full until its deadline and empty after it; then every byte of every store is read."""
    seal = house.click.sealed or b""
    pseudonyms = [house.click.visitor_key or b"", house.click.fbclid_key or b""]
    stored = await house.everything()
    assert seal in stored
    assert all(mark not in stored for mark in RAW)
    await house.settle()
    assert spools_under(house.settings.spools) == []

    # Keys end by whole days: `test_files_and_keys_of_days_end_with_their_rows`.
    ending = rows(
        "sql", lambda row: "shared_keys.wrapped" not in row.fields and house.life(row) > timedelta()
    )
    assert {house.life(row).days for row in ending} == {7, 90, 396}
    for row in sorted(ending, key=house.life):
        life = house.life(row)
        if house.clock.now_ms() < NOW + (life - HOUR) / timedelta(milliseconds=1):
            await house.at(life - HOUR)
            kept = [await house.values_of(each) for each in ending if house.life(each) == life]
            empty = {name for values in kept for name, n in values.items() if n == 0}
            assert empty <= NEVER_SET
            await house.at(life + HOUR)
        assert set((await house.values_of(row)).values()) == {0}, row.group.en
    await house.redis_is_empty()

    stored = await house.everything() + logs.getvalue().encode()
    assert [mark for mark in (*RAW, seal, *pseudonyms) if mark in stored] == []
    assert not house.opened()
    totals = [row for row in rows("sql") if "click_totals.clicks" in row.fields]
    assert set((await house.values_of(totals[0])).values()) == {1}


async def test_a_seal_can_be_opened_for_seven_days_and_by_nobody_after_the_eighth(house: House) -> None:
    """Not in the database, and not with the key: a copy in a backup, a spool or a file set aside is unreadable too."""
    await house.settle()
    await house.at(timedelta(days=house.settings.sealed_days))
    assert house.opened()
    assert house.click.sealed in await house.everything()
    await house.at(timedelta(days=house.settings.sealed_days + 1))
    assert not house.opened()
    [aside] = (house.settings.spools / ASIDE).iterdir()
    assert (house.click.sealed or b"") in aside.read_bytes()


async def test_files_and_keys_of_days_end_with_their_rows(house: House) -> None:
    [aside] = rows("disk", lambda row: "spool/aside/*.bin" in row.fields)
    [days] = rows("disk", lambda row: "Keys.periods" in row.fields)
    folder = house.settings.spools / ASIDE
    life = aside.life.under(house.settings) or HOUR
    await house.at(life - HOUR)
    assert [*folder.iterdir()] != []
    await house.at(life + HOUR)
    assert [*folder.iterdir()] == []
    kept = days.life.under(house.settings) or HOUR
    oldest = min(Keyring(house.settings.secrets, house.clock).keys.periods, default=None)
    first_kept = house.clock.now_ms() // DAY_MS - kept.days
    assert oldest is None or oldest >= first_kept
    shared = await SqlKeys(house.engine).rows()
    assert {row.kind for row in shared} == {"period", "mac"}
    assert [row for row in shared if row.kind == "period" and row.wrapped and row.number < first_kept] == []


async def test_redis_is_told_an_end_for_every_key(house: House) -> None:
    [copies] = rows("redis", lambda row: "trilha:click:*" in row.fields)
    life = copies.life.under(house.settings) or HOUR
    left = int(house.valkey.command(f"PTTL trilha:click:{house.click.id.hex}").removeprefix(b":"))
    assert left == -2 or 0 <= left <= life / timedelta(milliseconds=1)
    await house.redis_is_empty()
