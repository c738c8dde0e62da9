"""Alerts judged by a worker, from real conditions in SQL, spools and on sockets, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.alerts.local import LocalMeasures
from analytics.alerts.measures import SqlMeasures
from analytics.alerts.rules import Rule, rules_in_force
from analytics.alerts.telling import Teller
from analytics.alerts.texts import SEVERAL, Texts
from analytics.alerts.watch import SELDOM_SECONDS, Watch
from backends.codec import encode
from backends.sql.alerts import SqlAlerts
from backends.sql.bot_accounts import SqlBotAccounts
from backends.sql.engine import close_engine, make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.operator_schema import alerts
from backends.sql.outbox import SqlOutbox
from backends.sql.retention import SqlRetention
from backends.sql.rollup_schema import rollup_hours, start_changes
from backends.sql.schema import bots, outbox
from backends.sql.signs import SqlSigns
from domain.accounts import Heartbeat
from domain.alerts import AlertKey, AlertState, JudgeStatus, Message
from domain.books import MINUTE_MS, BookEntry
from domain.clock import ManualClock
from domain.conversions import meta_lane
from domain.observations import Observer, Silent
from domain.rollups import hour_of
from runtime.metrics import Metrics
from runtime.settings import Bind, Settings
from tests.daemon_fixture import free_port
from tests.making import NOW, PATIENT, full_click, make_spool, new_id, person_key, spool_beside, start_of
from tests.receiver import LOOPBACK, Receiver, receiving

PIXEL = "123456789"
LANE = meta_lane(PIXEL)
PASS = 60
NODE = "node 0"
DAY_MS = 86_400_000


class Recorder:
    """A channel that takes everything, or nothing."""

    name = "webhook"

    def __init__(self, refuses: str | None = None) -> None:
        self.refuses, self.messages = refuses, list[Message]()

    async def tell(self, message: Message) -> str | None:
        if self.refuses is None:
            self.messages.append(message)
        return self.refuses

    @property
    def told(self) -> list[tuple[str, str, str]]:
        return [(message.kind, message.rule, message.subject) for message in self.messages]


@dataclass
class Room:
    """A home with a link, a bot and a pixel, and workers that judge it."""

    home: Path
    engine: AsyncEngine
    clock: ManualClock = field(default_factory=lambda: ManualClock(now_ms=NOW))
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = Settings(
            home_dir=self.home, private_bind=Bind(host=LOOPBACK, port=free_port()), **self.changes
        )
        self.catalog = SqlCatalog(self.engine, self.clock)

    def worker(
        self,
        *channels: Recorder,
        engine: AsyncEngine | None = None,
        rules: list[Rule] | None = None,
        observer: Observer | None = None,
        **changes: Any,
    ) -> Watch:
        engine = engine or self.engine
        settings = self.settings.model_copy(update=changes)
        observer = observer or Silent()
        return Watch(
            rules=rules if rules is not None else rules_in_force(),
            node=settings.node,
            sql=SqlMeasures(settings, engine),
            local=LocalMeasures(settings, SqlSigns(engine)),
            alerts=SqlAlerts(engine),
            teller=Teller(channels, self.clock, observer),
            texts=Texts(language="en", zone=ZoneInfo("America/Sao_Paulo")),
            clock=self.clock,
            observer=observer,
        )

    async def passes(self, watch: Watch, seconds: float) -> None:
        """As many as a worker makes in that time, and one at once."""
        await watch.pass_()
        for _ in range(int(seconds // PASS)):
            self.clock.advance(PASS)
            await watch.pass_()

    async def write(self, *statements: Any) -> None:
        async with self.engine.begin() as connection:
            for statement in statements:
                await connection.execute(statement)


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def room(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Room]:
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    made = Room(tmp_path / "var", engine)
    made.settings.spools.mkdir(parents=True, mode=0o700)
    await made.catalog.add_bot("shop_bot")
    await made.catalog.add_link("promo", bot="shop_bot", pixel=PIXEL)
    yield made
    await close_engine(engine)


@pytest.fixture(autouse=True)
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of the machine under test may be as full as it likes."""
    usage = shutil._ntuple_diskusage(100, 10, 90)  # type: ignore[attr-defined]
    monkeypatch.setattr("analytics.alerts.local.shutil.disk_usage", lambda _: usage)


async def test_where_nothing_is_wrong_nothing_is_told(room: Room) -> None:
    channel = Recorder()
    await room.passes(room.worker(channel), 1200)
    assert channel.told == []


async def test_a_held_lane_fires_once_and_is_over_once_it_is_released(room: Room) -> None:
    channel, accounts = Recorder(), SqlOutbox(room.engine)
    watch = room.worker(channel)
    await accounts.hold(LANE, "the token has ended", at_ms=NOW)
    await room.passes(watch, 600)
    assert channel.told == [("firing", "lane_held", LANE)]
    await accounts.release(LANE)
    await room.passes(watch, 600)
    assert channel.told == [("firing", "lane_held", LANE), ("resolved", "lane_held", LANE)]


async def test_a_hold_is_told_without_the_destinations_own_words(room: Room) -> None:
    channel = Recorder()
    await SqlOutbox(room.engine).hold(LANE, "Meta said: EAAB-secret of maria@example.com", at_ms=NOW)
    await room.worker(channel).pass_()
    (message,) = channel.messages
    assert "secret" not in message.text
    assert "maria" not in message.text


async def test_a_destination_that_warns_of_its_version_is_told(room: Room) -> None:
    channel = Recorder()
    await SqlOutbox(room.engine).heard(LANE, "v26.0 ends in May")
    await room.passes(room.worker(channel), 60)
    assert channel.told == [("firing", "api_version", LANE)]


async def test_conversions_that_wait_are_told_by_their_age_and_once_more_after_a_day(room: Room) -> None:
    channel = Recorder()
    click = full_click()
    await SqlLedger(room.engine, person_key).settle([click], [start_of(click, at_ms=NOW)], [])
    await room.write(update(outbox).values(state="pending", lane=LANE, event_at=NOW))
    watch = room.worker(channel)
    room.clock.advance(7200)
    await room.passes(watch, 300)
    assert channel.told == []
    await room.passes(watch, 60)
    assert channel.told == [("firing", "unsent_age", LANE)]
    room.clock.advance(86_400)
    await room.passes(watch, 30)
    assert ("firing", "unsent_day", LANE) in channel.told
    await room.write(update(outbox).values(state="sent"))
    await room.passes(watch, 900)
    assert Counter(channel.told)[("resolved", "unsent_age", LANE)] == 1
    assert Counter(channel.told)[("resolved", "unsent_day", LANE)] == 1


async def test_a_spool_with_a_backlog_fires_and_recovers_when_it_is_settled(room: Room) -> None:
    channel = Recorder()
    spool = make_spool(room.settings.spools / "daemon-a")
    click = full_click(id=new_id(NOW))
    spool.append([(click, encode(click))])
    watch = room.worker(channel)
    await room.passes(watch, 300)
    assert channel.told == []
    await room.passes(watch, 120)
    assert channel.told == [("firing", "spool_backlog", NODE)]
    beside = spool_beside(room.settings.spools / "daemon-a")
    beside.trim(list(beside.entries()))
    beside.close()
    await room.passes(watch, 300)
    assert channel.told[1:] == [("resolved", "spool_backlog", NODE)]
    spool.close()


async def test_a_spool_near_its_quota_fires(room: Room) -> None:
    channel = Recorder()
    spool = make_spool(room.settings.spools / "daemon-a")
    room.settings = room.settings.model_copy(update={"spool_quota": int(spool.volume() / 0.75)})
    spool.close()
    await room.passes(room.worker(channel), 60)
    assert channel.told == [("firing", "spool_quota", NODE)]
    assert "75 %" in channel.messages[0].text


async def test_a_spool_that_cannot_be_read_is_a_backlog_too(room: Room) -> None:
    channel = Recorder()
    folder = room.settings.spools / "daemon-a"
    folder.mkdir(mode=0o700)
    (folder / "cache.db").write_bytes(
        b"no database at all, but long enough to be taken for a file of one" * 100
    )
    await room.passes(room.worker(channel), 600)
    assert channel.told == [("firing", "spool_backlog", NODE)]


async def test_a_full_disk_fires(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(100, 91, 9)  # type: ignore[attr-defined]
    monkeypatch.setattr("analytics.alerts.local.shutil.disk_usage", lambda _: usage)
    channel = Recorder()
    await room.passes(room.worker(channel), 120)
    assert {rule for _, rule, _ in channel.told} == {"disk_free"}


@pytest.mark.parametrize("health", ["banned", "revoked", "renamed"])
async def test_a_bot_that_nobody_reaches_fires_and_is_over_once_it_is_well(room: Room, health: Any) -> None:
    channel, accounts = Recorder(), SqlBotAccounts(room.engine)
    watch = room.worker(channel)
    await accounts.put_health(1, health, at_ms=NOW)
    await room.passes(watch, 60)
    assert channel.told == [("firing", "bot_unfit", "@shop_bot")]
    await accounts.put_health(1, "ok", at_ms=NOW)
    await room.passes(watch, 300)
    assert channel.told[1:] == [("resolved", "bot_unfit", "@shop_bot")]


async def test_a_banned_bot_that_no_link_leads_to_is_nobodys_trouble(room: Room) -> None:
    channel = Recorder()
    await room.catalog.add_bot("old_bot")
    await SqlBotAccounts(room.engine).put_health(2, "banned", at_ms=NOW)
    await room.passes(room.worker(channel), 60)
    assert channel.told == []


async def test_a_bot_with_a_token_that_hears_nothing_for_ten_minutes_fires(room: Room) -> None:
    channel, accounts = Recorder(), SqlBotAccounts(room.engine)
    await accounts.put_token(1, b"sealed", 42)
    await room.write(update(bots).values(created_at=NOW - DAY_MS))
    await accounts.acquire(1, "w", now_ms=NOW, until_ms=NOW + DAY_MS)
    await accounts.beat(1, "w", Heartbeat(checked_at_ms=NOW), until_ms=NOW + DAY_MS)
    watch = room.worker(channel)
    await room.passes(watch, 600)
    assert channel.told == []
    await room.passes(watch, 120)
    assert channel.told == [("firing", "bot_unheard", "@shop_bot")]


async def test_a_bot_without_a_token_here_is_another_programs_to_hear(room: Room) -> None:
    channel = Recorder()
    await room.write(update(bots).values(created_at=NOW - DAY_MS))
    await room.passes(room.worker(channel), 1200)
    assert channel.told == []


async def test_books_that_do_not_balance_fire_and_those_that_do_not(room: Room) -> None:
    """Five were taken into a spool half an hour ago; SQL has four of them."""
    channel, ledger = Recorder(), SqlLedger(room.engine, person_key)
    at_ms = NOW - 30 * MINUTE_MS
    clicks = [full_click(id=new_id(at_ms + n)) for n in range(5)]
    book = BookEntry(node=0, boot="b", minute=at_ms // MINUTE_MS, issued=5, synced=5, visible=5, spooled=5)
    await ledger.settle(clicks[:4], [], [book])
    watch = room.worker(channel)
    await room.passes(watch, 1200)
    assert ("firing", "books_unbalanced", "") in channel.told
    await ledger.settle(clicks[4:], [], [])
    await room.passes(watch, 1800)
    assert ("resolved", "books_unbalanced", "") in channel.told


async def test_books_are_not_judged_while_another_machines_spools_have_something_of_then(room: Room) -> None:
    channel, at_ms = Recorder(), NOW - 30 * MINUTE_MS
    book = BookEntry(node=1, boot="b", minute=at_ms // MINUTE_MS, issued=5, synced=5, spooled=5)
    await SqlLedger(room.engine, person_key).settle([], [], [book])
    watch = room.worker(channel)
    for _ in range(5):
        other = JudgeStatus(node=1, judged_ms=room.clock.now_ms(), waits_since_ms=at_ms)
        await SqlAlerts(room.engine).beat(other)
        await room.passes(watch, 240)
    assert "books_unbalanced" not in {rule for _, rule, _ in channel.told}


async def test_clicks_that_no_store_had_fire_and_are_over_ten_minutes_later(room: Room) -> None:
    channel = Recorder()
    book = BookEntry(node=3, boot="b", minute=NOW // MINUTE_MS, issued=2, token_only=2)
    await SqlLedger(room.engine, person_key).settle([], [], [book])
    watch = room.worker(channel)
    await watch.pass_()
    assert channel.told == [("firing", "token_only", "node 3")]
    await room.passes(watch, 900)
    assert ("resolved", "token_only", "node 3") in channel.told


@pytest.mark.parametrize("changes", [{"ack": "chain"}, {"wait_for": "token"}, {"wait_for": "visible"}])
async def test_where_the_settings_promise_no_more_than_the_token_it_is_no_alarm(
    room: Room, changes: dict[str, Any]
) -> None:
    channel = Recorder()
    book = BookEntry(node=0, boot="b", minute=NOW // MINUTE_MS, issued=2, token_only=2)
    await SqlLedger(room.engine, person_key).settle([], [], [book])
    await room.worker(channel, **changes).pass_()
    assert channel.told == []


async def rolled(room: Room, hour: int, clicks: int, starts: int, value: str = "human") -> None:
    row = {"trait": "class", "hour": hour, "link_id": 1, "value": value}
    await room.write(insert(rollup_hours).values(**row, clicks=clicks, starts=starts))


async def a_week_before(room: Room) -> int:
    """1,000 clicks and 100 starts in the same hours of the 7 days before; a lot more in other hours, and of robots."""
    until = hour_of(NOW - 10 * MINUTE_MS, ZoneInfo("America/Sao_Paulo"))
    for day in range(1, 8):
        clicks, starts = (142, 14) if day < 7 else (148, 16)
        await rolled(room, until - 60 - day * 1440, clicks, starts)
        await rolled(room, until - 240 - day * 1440, 10_000, 9_000)
        await rolled(room, until - 60 - day * 1440, 10_000, 0, "crawler")
    return until


async def test_88_clicks_without_a_start_where_a_tenth_was_started_are_told(room: Room) -> None:
    """0.9 ** 88 is one in 10,627, and the bound one in 10,000."""
    channel, until = Recorder(), await a_week_before(room)
    await rolled(room, until - 60, 88, 0)
    await room.passes(room.worker(channel), 900)
    assert channel.told == [("firing", "match_rate", "promo")]
    assert "1 : 11000" in channel.messages[0].text


async def test_87_are_not(room: Room) -> None:
    channel, until = Recorder(), await a_week_before(room)
    await rolled(room, until - 60, 87, 0)
    await rolled(room, until, 500, 0)  # the hour that is not over yet
    await rolled(room, until - 120, 1000, 0, "crawler")
    await room.passes(room.worker(channel), 900)
    assert channel.told == []


async def test_changes_that_nobody_folds_fire(room: Room) -> None:
    channel = Recorder()
    row = {"sign": 1, "started_at": NOW, "bot_id": 1, "kind": "direct"}
    await room.write(*(insert(start_changes).values(seq=seq, **row) for seq in (1, 100_001)))
    await room.passes(room.worker(channel), 660)
    assert channel.told == [("firing", "rollups_behind", "")]


async def test_originals_that_are_kept_a_day_too_long_fire(room: Room) -> None:
    channel = Recorder()
    click = full_click(id=new_id(NOW - 9 * DAY_MS))
    await SqlLedger(room.engine, person_key).settle([click], [], [])
    watch = room.worker(
        channel, rules=[rule for rule in rules_in_force() if rule.name == "retention_overdue"]
    )
    await room.passes(watch, 1800 + SELDOM_SECONDS)
    assert channel.told == [("firing", "retention_overdue", "")]


# ---------------------------------------------------------------- the daemon of this machine


def readyz(**tiers: str) -> Receiver:
    body = json.dumps({"ready": True, "tiers": tiers, "ring_waiting": 0}).encode()
    return Receiver(answer=b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def test_an_open_breaker_fires_and_is_over_when_it_closes(room: Room) -> None:
    channel, daemon = Recorder(), readyz(redis="open", disk="closed", sql="closed", ledger="closed")
    async with receiving(daemon) as there:
        watch = room.worker(channel, private_bind=Bind(host=LOOPBACK, port=there.port))
        await room.passes(watch, 120)
        assert channel.told == [("firing", "tier_down", f"{NODE} redis")]
        daemon.answer = readyz(redis="closed", disk="closed", sql="closed").answer
        await room.passes(watch, 300)
    assert channel.told[1:] == [("resolved", "tier_down", f"{NODE} redis")]


async def test_a_daemon_that_answered_clicks_and_is_silent_fires(room: Room) -> None:
    channel = Recorder()
    book = BookEntry(node=0, boot="b", minute=NOW // MINUTE_MS - 60, issued=1, synced=1)
    await SqlLedger(room.engine, person_key).settle([], [], [book])
    rules = [rule for rule in rules_in_force() if rule.name == "daemon_silent"]
    await room.passes(room.worker(channel, rules=rules), 120)
    assert channel.told == [("firing", "daemon_silent", NODE)]


async def test_where_no_daemon_has_ever_answered_none_is_missed(room: Room) -> None:
    channel = Recorder()
    await room.passes(room.worker(channel), 600)
    assert channel.told == []


async def test_a_daemon_that_is_gone_does_not_mend_a_tier(room: Room) -> None:
    channel = Recorder()
    async with receiving(readyz(redis="open")) as there:
        watch = room.worker(channel, private_bind=Bind(host=LOOPBACK, port=there.port))
        await room.passes(watch, 120)
    await room.passes(watch, 900)
    assert channel.told == [("firing", "tier_down", f"{NODE} redis")]


# ---------------------------------------------------------------- workers


async def test_two_workers_that_judge_at_once_tell_once(room: Room) -> None:
    first, second = Recorder(), Recorder()
    other = make_engine(room.engine.url.render_as_string(hide_password=False), patience=PATIENT)
    pair = [room.worker(first), room.worker(second, engine=other, node=1)]
    outbox_ = SqlOutbox(room.engine)
    for _ in range(3):
        await outbox_.hold(LANE, "ended", at_ms=NOW)
        await SqlBotAccounts(room.engine).put_health(1, "banned", at_ms=NOW)
        for _ in range(3):
            await asyncio.gather(*(watch.pass_() for watch in pair))
            room.clock.advance(PASS)
        await outbox_.release(LANE)
        await SqlBotAccounts(room.engine).put_health(1, "ok", at_ms=NOW)
        while "firing" in {state.phase for state in (await SqlAlerts(room.engine).load()).values()}:
            await asyncio.gather(*(watch.pass_() for watch in pair))
            room.clock.advance(PASS)
    await close_engine(other)
    told = Counter(first.told + second.told)
    subjects = (("lane_held", LANE), ("bot_unfit", "@shop_bot"))
    assert told == {(kind, *of): 3 for kind in ("firing", "resolved") for of in subjects}


async def test_a_worker_that_starts_again_tells_nothing_anew(room: Room) -> None:
    first, second = Recorder(), Recorder()
    await SqlOutbox(room.engine).hold(LANE, "ended", at_ms=NOW)
    await room.passes(room.worker(first), 60)
    await room.passes(room.worker(second), 60)
    assert (len(first.told), second.told) == (1, [])


async def test_a_worker_that_is_silent_is_told_by_another_until_its_node_is_forgotten(room: Room) -> None:
    channel = Recorder()
    await SqlAlerts(room.engine).beat(JudgeStatus(node=5, judged_ms=NOW, waits_since_ms=None))
    stale = AlertState(since_ms=NOW, fired_ms=NOW, told_ms=NOW)
    await SqlAlerts(room.engine).change(AlertKey("disk_free", "node 5 home"), None, stale)
    watch = room.worker(channel)
    await room.passes(watch, 420)
    assert channel.told == [("firing", "worker_silent", "node 5")]
    room.clock.advance(8 * 86_400)
    await room.passes(watch, 60)
    assert len(channel.told) == 1
    assert not await SqlAlerts(room.engine).load()


async def test_of_two_changes_of_one_alert_one_wins(room: Room) -> None:
    stored, key = SqlAlerts(room.engine), AlertKey("lane_held", LANE)
    new = AlertState(since_ms=NOW)
    assert await stored.change(key, None, new)
    assert not await stored.change(key, None, new)
    before = (await stored.load())[key]
    assert await stored.change(key, before, AlertState(since_ms=NOW, fired_ms=NOW))
    assert not await stored.change(key, before, AlertState(since_ms=NOW, fired_ms=NOW + 1))
    assert not await stored.change(key, before, None)
    assert (await stored.load())[key].fired_ms == NOW


async def test_what_is_over_since_long_is_deleted_and_nothing_else(room: Room) -> None:
    stored = SqlAlerts(room.engine)
    old = NOW - 91 * DAY_MS
    await stored.change(
        AlertKey("lane_held", "a"), None, AlertState(since_ms=old, fired_ms=old, resolved_ms=old)
    )
    await stored.change(
        AlertKey("lane_held", "b"), None, AlertState(since_ms=old, fired_ms=old, resolved_ms=NOW)
    )
    await stored.change(AlertKey("lane_held", "c"), None, AlertState(since_ms=old, fired_ms=old, told_ms=NOW))
    for node, judged in ((0, old), (1, NOW)):
        await stored.beat(JudgeStatus(node=node, judged_ms=judged, waits_since_ms=None))
    assert await SqlRetention(room.engine).delete_alerts(NOW - 90 * DAY_MS) == 2
    assert [judge.node for judge in await stored.judges()] == [1]
    assert {key.subject for key in await stored.load()} == {"b", "c"}


# ---------------------------------------------------------------- SQL away, channels, many at once, metrics


async def test_that_sql_is_down_is_told_although_it_is_down_and_is_in_sql_once_it_is_back(
    tmp_path: Path, sqlite_template: Path
) -> None:
    file, channel = tmp_path / "sql" / "trilha.db", Recorder()
    engine = make_engine(f"sqlite+aiosqlite:///{file}", patience=0.5)
    room = Room(tmp_path / "var", engine)
    room.settings.spools.mkdir(parents=True, mode=0o700)
    watch = room.worker(channel)
    await room.passes(watch, 600)
    assert channel.told == [("firing", "tier_down", f"{NODE} sql")]
    file.parent.mkdir()
    shutil.copy(sqlite_template, file)
    await watch.pass_()
    stored = await SqlAlerts(engine).load()
    assert stored[AlertKey("tier_down", f"{NODE} sql")].phase == "firing"
    await room.passes(watch, 300)
    assert channel.told[1:] == [("resolved", "tier_down", f"{NODE} sql")]
    await close_engine(engine)


async def test_a_channel_that_fails_keeps_no_other_from_being_told_and_is_tried_again(room: Room) -> None:
    broken, sound, metrics = Recorder("no answer"), Recorder(), Metrics()
    watch = room.worker(broken, sound, observer=metrics)
    await SqlOutbox(room.engine).hold(LANE, "ended", at_ms=NOW)
    await room.passes(watch, 180)
    assert sound.told == [("firing", "lane_held", LANE)]
    broken.refuses = None
    await watch.pass_()
    assert broken.told == sound.told == [("firing", "lane_held", LANE)]
    page = metrics.render().decode()
    assert 'trilha_alerts_told_total{channel="webhook",outcome="failed"} 4.0' in page
    assert 'trilha_alerts_told_total{channel="webhook",outcome="sent"} 2.0' in page
    assert 'trilha_alert_firing{rule="lane_held"} 1.0' in page
    assert 'trilha_alert_measured{rule="lane_held"} 1.0' in page
    assert 'trilha_alert_firing{rule="bot_unfit"} 0.0' in page


async def test_what_no_channel_takes_for_an_hour_is_given_up(room: Room) -> None:
    broken, metrics = Recorder("no answer"), Metrics()
    watch = room.worker(broken, observer=metrics)
    await SqlOutbox(room.engine).hold(LANE, "ended", at_ms=NOW)
    await room.passes(watch, 3660)
    assert 'trilha_alerts_told_total{channel="webhook",outcome="given_up"} 1.0' in metrics.render().decode()


async def test_many_at_once_are_one_message(room: Room) -> None:
    channel, outbox_ = Recorder(), SqlOutbox(room.engine)
    for number in range(12):
        await outbox_.hold(meta_lane(f"55500{number:04}"), "ended", at_ms=NOW)
    watch = room.worker(channel)
    await watch.pass_()
    (message,) = channel.messages
    assert (message.rule, message.kind, message.severity) == (SEVERAL, "firing", "page")
    assert message.text.count("held") == 12
    await room.passes(watch, 300)
    assert len(channel.messages) == 1


async def test_a_rule_that_is_switched_off_is_not_judged(room: Room) -> None:
    channel = Recorder()
    await SqlOutbox(room.engine).hold(LANE, "ended", at_ms=NOW)
    await room.worker(channel, rules=rules_in_force(off=["lane_held"])).pass_()
    assert channel.told == []
    async with room.engine.connect() as connection:
        assert (await connection.execute(select(alerts))).first() is None
