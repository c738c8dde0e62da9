"""What workers are promised of the bots they share, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.bot_accounts import SqlBotAccounts
from backends.sql.engine import make_engine
from backends.sql.links import SqlCatalog
from domain.accounts import BotStatus, Heartbeat, Lease, UpdateState
from domain.clock import ManualClock
from domain.errors import ConfigError
from domain.links import Bot
from domain.ports import BotAccounts
from tests.making import NOW, PATIENT

SOON, LATER = NOW + 30_000, NOW + 60_000
STATE = UpdateState(pts=7, qts=3, date=1_800_000_000)


@dataclass
class Place:
    """A database with two registered bots, 1 and 2."""

    url: str
    engines: list[AsyncEngine] = field(default_factory=list)

    def accounts(self) -> SqlBotAccounts:
        """As another process has them: over an engine of its own."""
        self.engines.append(make_engine(self.url, patience=PATIENT))
        return SqlBotAccounts(self.engines[-1])

    async def version(self) -> int:
        return await SqlCatalog(self.engines[0], ManualClock()).version()


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    made = Place(request.getfixturevalue(request.param))
    made.accounts()
    for username in ("shop_bot", "other_bot"):
        await SqlCatalog(made.engines[0], ManualClock()).add_bot(username)
    yield made
    for engine in made.engines:
        await engine.dispose()


@pytest.fixture
def accounts(place: Place) -> BotAccounts:
    return place.accounts()


async def take(accounts: BotAccounts, worker: str, now_ms: int = NOW, until_ms: int = SOON) -> Lease | None:
    return await accounts.acquire(1, worker, now_ms=now_ms, until_ms=until_ms)


async def status(accounts: BotAccounts) -> BotStatus:
    return (await accounts.overview())[0]


# ---------------------------------------------------------------- the lease


async def test_a_lease_is_refused_to_others_with_the_name_of_who_has_it(accounts: BotAccounts) -> None:
    assert await take(accounts, "a") is None
    assert await take(accounts, "b") == Lease(worker="a", until_ms=SOON)
    assert await take(accounts, "b", now_ms=SOON - 1) == Lease(worker="a", until_ms=SOON)


async def test_its_holder_prolongs_it_and_each_bot_has_its_own(accounts: BotAccounts) -> None:
    await take(accounts, "a")
    assert await take(accounts, "a", until_ms=LATER) is None
    assert await take(accounts, "b") == Lease(worker="a", until_ms=LATER)
    assert await accounts.acquire(2, "b", now_ms=NOW, until_ms=SOON) is None


async def test_it_is_free_again_once_it_is_over_or_given_back(accounts: BotAccounts) -> None:
    await take(accounts, "a")
    assert await take(accounts, "b", now_ms=SOON, until_ms=LATER) is None
    await accounts.release(1, "a")  # no longer its to give
    assert await take(accounts, "c") == Lease(worker="b", until_ms=LATER)
    await accounts.release(1, "b")
    assert (await status(accounts)).worker is None
    assert await take(accounts, "c") is None


async def test_of_many_that_want_a_lease_at_once_exactly_one_gets_it(place: Place) -> None:
    """Each over a connection of its own; first when it is free, then each time when it is over."""
    many = {f"w{number}": place.accounts() for number in range(8)}
    for now_ms in range(NOW, NOW + 12_000, 1000):
        calls = [a.acquire(1, w, now_ms=now_ms, until_ms=now_ms + 1000) for w, a in many.items()]
        answers = dict(zip(many, await asyncio.gather(*calls), strict=True))
        won = [worker for worker, answer in answers.items() if answer is None]
        assert len(won) == 1
        assert {answer.worker for answer in answers.values() if answer} == set(won)
        assert (await status(many["w0"])).worker == won[0]


async def test_a_lease_that_is_given_back_while_many_want_it_goes_to_one_of_them_at_most(
    place: Place,
) -> None:
    many, holder = {f"w{number}": place.accounts() for number in range(6)}, place.accounts()
    for _ in range(8):
        assert await take(holder, "holder") is None
        *answers, _given = await asyncio.gather(
            *(take(a, w) for w, a in many.items()), holder.release(1, "holder")
        )
        won = [worker for worker, answer in zip(many, answers, strict=True) if answer is None]
        held = (await status(holder)).worker
        assert [held] == (won or [None])
        assert {answer.worker for answer in answers if answer} <= {"holder", held}
        await holder.release(1, held or "")


async def test_a_bot_that_is_not_registered_has_no_lease(accounts: BotAccounts) -> None:
    with pytest.raises(ConfigError, match="no bot with the id 9"):
        await accounts.acquire(9, "a", now_ms=NOW, until_ms=SOON)
    assert not await accounts.beat(9, "a", Heartbeat(), until_ms=SOON)


# ---------------------------------------------------------------- the heartbeat


async def test_a_beat_prolongs_the_lease_and_keeps_what_it_brings(place: Place) -> None:
    accounts = place.accounts()
    await take(accounts, "a")
    version = await place.version()
    heartbeat = Heartbeat(heard_at_ms=NOW + 1, checked_at_ms=NOW + 2, state=STATE)
    assert await accounts.beat(1, "a", heartbeat, until_ms=LATER)
    found = await status(accounts)
    assert (found.heard_at_ms, found.checked_at_ms, found.worker_until_ms) == (NOW + 1, NOW + 2, LATER)
    assert await accounts.state(1) == STATE
    assert await accounts.state(2) is None
    assert await place.version() == version, "a beat makes no daemon load the catalog again"


async def test_a_beat_that_brings_nothing_leaves_what_is_there(accounts: BotAccounts) -> None:
    await take(accounts, "a")
    await accounts.beat(1, "a", Heartbeat(heard_at_ms=NOW, checked_at_ms=NOW, state=STATE), until_ms=SOON)
    assert await accounts.beat(1, "a", Heartbeat(), until_ms=LATER)
    found = await status(accounts)
    assert (found.heard_at_ms, found.checked_at_ms, await accounts.state(1)) == (NOW, NOW, STATE)


async def test_a_late_beat_turns_no_counter_and_no_time_back(accounts: BotAccounts) -> None:
    await take(accounts, "a")
    newer = Heartbeat(heard_at_ms=NOW, checked_at_ms=NOW, state=STATE)
    older = Heartbeat(
        heard_at_ms=NOW - 1, checked_at_ms=NOW - 1, state=UpdateState(pts=6, qts=4, date=STATE.date - 1)
    )
    await accounts.beat(1, "a", newer, until_ms=SOON)
    assert await accounts.beat(1, "a", older, until_ms=SOON)
    found = await status(accounts)
    assert (found.heard_at_ms, found.checked_at_ms) == (NOW, NOW)
    assert await accounts.state(1) == UpdateState(pts=7, qts=4, date=STATE.date)


async def test_whoever_has_lost_the_lease_writes_nothing(accounts: BotAccounts) -> None:
    await take(accounts, "a")
    await take(accounts, "b", now_ms=SOON, until_ms=LATER)
    late = Heartbeat(heard_at_ms=NOW, checked_at_ms=NOW, state=STATE)
    assert not await accounts.beat(1, "a", late, until_ms=LATER + 1)
    found = await status(accounts)
    assert (found.worker, found.worker_until_ms, found.heard_at_ms) == ("b", LATER, None)
    assert await accounts.state(1) is None
    await accounts.release(1, "b")
    assert not await accounts.beat(1, "b", late, until_ms=LATER)


async def test_the_next_worker_goes_on_where_the_last_one_was(accounts: BotAccounts) -> None:
    await take(accounts, "a")
    await accounts.beat(1, "a", Heartbeat(state=STATE), until_ms=SOON)
    await take(accounts, "b", now_ms=SOON, until_ms=LATER)
    assert await accounts.state(1) == STATE


# ---------------------------------------------------------------- tokens and webhooks


async def test_a_token_is_kept_replaced_and_forgotten_and_its_telegram_id_stays(
    accounts: BotAccounts,
) -> None:
    await accounts.put_token(1, b"sealed", 5_000_000_001)
    await accounts.put_token(2, b"another", None)
    assert await accounts.tokens() == {1: b"sealed", 2: b"another"}
    await accounts.put_token(2, b"newer", 7)
    await accounts.put_token(1, None, None)
    assert await accounts.tokens() == {2: b"newer"}
    found = await accounts.overview()
    assert [(s.has_token, s.telegram_id) for s in found] == [(False, 5_000_000_001), (True, 7)]


async def test_the_token_of_another_account_begins_to_count_updates_anew(accounts: BotAccounts) -> None:
    """A bot that was made again under its old name has counters of its own: with the old ones it would miss starts."""
    await take(accounts, "a")
    await accounts.beat(1, "a", Heartbeat(state=STATE), until_ms=SOON)
    for telegram_id, state in ((5, STATE), (5, STATE), (None, STATE), (6, None)):
        await accounts.put_token(1, b"sealed", telegram_id)
        assert await accounts.state(1) == state


async def test_daemons_learn_of_a_webhook_secret_by_its_digest(place: Place) -> None:
    accounts, version = place.accounts(), await place.version()
    await accounts.put_webhook_key(2, bytes(range(32)))
    assert await place.version() > version
    catalog = await SqlCatalog(place.engines[0], ManualClock()).load()
    assert [bot.webhook_key for bot in catalog.bots] == [None, bytes(range(32)).hex()]
    await accounts.put_webhook_key(2, None)
    assert (await accounts.overview())[1].bot.webhook_key is None


# ---------------------------------------------------------------- health and names


async def test_a_change_of_health_raises_the_version_and_what_is_known_already_does_not(place: Place) -> None:
    accounts, version = place.accounts(), await place.version()
    assert await accounts.put_health(1, "banned", at_ms=NOW)
    assert await place.version() == version + 1
    assert not await accounts.put_health(1, "banned", at_ms=LATER)
    assert await place.version() == version + 1
    found = await status(accounts)
    assert (found.bot.health, found.bot.fit, found.health_at_ms) == ("banned", False, NOW)
    assert (await accounts.overview())[1].bot.health == "unknown"


async def test_many_that_see_the_same_ban_at_once_raise_the_version_once(place: Place) -> None:
    many = [place.accounts() for _ in range(8)]
    version = await place.version()
    changed = await asyncio.gather(*(a.put_health(1, "banned", at_ms=NOW) for a in many))
    assert (sum(changed), await place.version()) == (1, version + 1)


async def test_changes_of_all_kinds_at_once_never_wait_for_each_other_in_a_ring(place: Place) -> None:
    many, version = [place.accounts() for _ in range(4)], await place.version()
    names, healths = ("one_bot", "two_bot", "three_bot"), ("ok", "banned", "revoked")
    for name, health in zip(names, healths, strict=True):
        await asyncio.gather(
            many[0].rename(1, name),
            many[1].put_health(1, health, at_ms=NOW),
            many[2].put_webhook_key(1, bytes(32)),
            many[3].acquire(1, "a", now_ms=NOW, until_ms=SOON),
        )
    assert (await status(many[0])).bot.username == "three_bot"
    assert await place.version() >= version + 6


async def test_a_renamed_bot_keeps_all_but_its_name_and_is_to_be_looked_at_again(place: Place) -> None:
    accounts = place.accounts()
    await accounts.put_token(1, b"sealed", 5)
    await accounts.put_health(1, "renamed", at_ms=NOW)
    version = await place.version()
    await accounts.rename(1, "@New_Shop_Bot")
    found = await status(accounts)
    assert (found.bot, found.has_token) == (Bot(id=1, username="New_Shop_Bot"), True)
    assert await place.version() > version
    catalog = await SqlCatalog(place.engines[0], ManualClock()).load()
    assert catalog.bot("new_shop_bot") == found.bot


async def test_no_two_bots_have_one_name(place: Place) -> None:
    accounts, version = place.accounts(), await place.version()
    with pytest.raises(ConfigError, match="@OTHER_bot is another registered bot"):
        await accounts.rename(1, "OTHER_bot")
    with pytest.raises(ConfigError, match="not a bot username"):
        await accounts.rename(1, "1")
    await accounts.rename(1, "SHOP_BOT")
    assert [s.bot.username for s in await accounts.overview()] == ["SHOP_BOT", "other_bot"]
    assert await place.version() == version + 1, "a refused change is no change"


async def test_a_bot_that_is_not_there_cannot_be_changed(place: Place) -> None:
    accounts, version = place.accounts(), await place.version()
    for call in (
        accounts.put_token(9, b"", 1),
        accounts.put_webhook_key(9, None),
        accounts.put_health(9, "ok", at_ms=NOW),
        accounts.rename(9, "new_bot"),
    ):
        with pytest.raises(ConfigError, match="no bot with the id 9"):
            await call
    assert await place.version() == version
