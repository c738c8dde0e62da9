"""Gathering asks every store once, says which could not be asked, and asks none for a token that is not ours."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

import analytics.explain.gather as gather
from analytics.explain.facts import OfOrder, OfPerson, Rules
from analytics.explain.gather import Gathering
from analytics.inspect import Inspect
from domain.attribution import Owner, Start
from domain.click import Ad, Click
from domain.clock import ManualClock
from domain.conversions import PURCHASE, Conversion
from domain.errors import StoreUnavailable, UnknownBot
from domain.links import Bot, Link
from domain.outcomes import MISSING, UNKNOWN, Durability, Found, LedgerRow, Lookup
from domain.trace import Trace, TracedClick, TracedDelivery, TracedStart
from privacy.keyring import Keyring
from privacy.token import Minter, TokenFault
from tests.making import bare_click, new_id, ref

DAY = 86_400_000
BOT = Bot(id=1, username="shop_bot")
ANA = Owner(bot_id=1, telegram_id=77)


class Stores:
    """Every port at once: what it holds, whether it can be asked, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.sql = True
        self.where_says: dict[str, Lookup] = {"redis": MISSING, "disk": MISSING, "sql": MISSING}
        self.trace = Trace()
        self.spooled: list[Start | Conversion] = []
        self.spool_read = True
        self.keys = True

    async def where(self, _click_id: UUID) -> dict[str, Lookup]:
        self.asked.append("where")
        return self.where_says

    async def row(self, _click_id: UUID) -> LedgerRow | None:
        self.asked.append("row")
        if not self.sql:
            raise StoreUnavailable("down")
        return self.trace.clicks[0].row if self.trace.clicks else None

    async def ad(self, _link_id: int, _key: bytes) -> Ad | None:
        self.asked.append("ad")
        return Ad("fb")

    async def _of(self, what: str) -> Trace:
        self.asked.append(what)
        if not self.sql:
            raise StoreUnavailable("down")
        return self.trace

    async def of_click(self, _click_id: UUID) -> Trace:
        return await self._of("of_click")

    async def of_person(self, _telegram_id: int, bot_id: int | None = None) -> Trace:
        return await self._of(f"of_person {bot_id}")

    async def of_order(self, order_id: str) -> Trace:
        return await self._of(f"of_order {order_id}")

    async def waiting(self, wanted: Any) -> tuple[list[Start | Conversion], bool]:
        self.asked.append("spools")
        return [one for one in self.spooled if wanted(one)], self.spool_read

    def link_by_id(self, link_id: int) -> Link | None:
        return Link(id=link_id, slug="promo", name="", pool=())

    def bot(self, username: str) -> Bot | None:
        return BOT if username == "shop_bot" else None

    def readable(self, _blob: bytes) -> bool:
        return self.keys


class Room:
    """A gathering over those stores, with a real key ring."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.stores = Stores()
        self.minter = self.minter_of("ring")
        self.gathering = Gathering(
            clicks=Inspect(
                minter=self.minter,
                locator=self.stores,
                ledger=self.stores,  # type: ignore[arg-type]  only `row` is asked
                links=self.stores,
                ads=self.stores,
                spool_durability=Durability.SYNCED,
            ),
            faults=self.minter,
            traces=self.stores,
            spools=self.stores,
            names=self.stores,
            originals=self.stores,
            rules=Rules(zone=ZoneInfo("UTC"), attribution_days=28),
            clock=self.clock,
        )

    def minter_of(self, name: str) -> Minter:
        ring = Keyring.create(self.folder / f"{name}.json", self.clock)
        return Minter(ring, self.clock, node=0, attribution_days=28)

    def token(self, click: Click) -> str:
        return self.minter.mint(click.id, click.link_id, click.ad_key).text

    def traced(self, click: Click, owner: Owner | None = ANA, **changes: Any) -> TracedClick:
        row = LedgerRow(
            click=click,
            owner=owner,
            started_at_ms=click.at_ms + 1000 if owner else None,
            link_id=1,
            ad_key=b"",
            spooled=True,
        )
        return replace(TracedClick(id=click.id, row=row, ad=None, erased_at_ms=None), **changes)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def altered(token: str) -> str:
    return token[:20] + ("A" if token[20] != "A" else "B") + token[21:]


@pytest.mark.parametrize("kind", ["malformed", "other_key", "forged", "expired"])
async def test_a_token_that_is_refused_costs_no_io_and_is_told_apart(room: Room, kind: Any) -> None:
    """A stranger's, an altered one, an old one of ours: no store is asked, whatever is wrong with it."""
    click = bare_click()
    token = room.token(click)
    if kind == "malformed":
        token = "promo"
    elif kind == "other_key":
        # The key's number is in the first character but one; this ring has keys 0 only.
        token = chr(ord(token[0])) + "Q" + token[2:]
    elif kind == "forged":
        token = altered(token)
    else:
        room.clock.advance(29 * 86_400)
    facts = await room.gathering.token(token)
    at_ms = click.at_ms if kind == "expired" else None
    assert facts.refused == TokenFault(kind=kind, at_ms=at_ms)
    assert room.stores.asked == []


async def test_the_token_of_another_installation_costs_no_io(room: Room) -> None:
    click = bare_click()
    stranger = room.minter_of("stranger").mint(click.id, 1, b"\0" * 8).text
    facts = await room.gathering.token(stranger)
    assert facts.refused is not None
    assert facts.refused.kind in ("forged", "other_key")
    assert room.stores.asked == []


async def test_every_store_is_asked_once_for_a_good_token(room: Room) -> None:
    click = bare_click()
    room.stores.where_says |= {"disk": Found(click)}
    facts = await room.gathering.token(room.token(click))
    assert sorted(room.stores.asked) == ["of_click", "row", "spools", "where"]
    (found,) = facts.clicks
    assert (found.click, found.durability, found.certain) == (click, Durability.SYNCED, True)
    assert found.stores == {"redis": "missing", "disk": "found", "sql": "missing"}
    assert facts.refused is None


async def test_with_sql_down_the_rest_is_gathered_and_that_is_said(room: Room) -> None:
    click = bare_click()
    room.stores.sql = False
    room.stores.where_says = {"redis": Found(click), "disk": Found(click), "sql": UNKNOWN}
    facts = await room.gathering.token(room.token(click))
    (found,) = facts.clicks
    assert (facts.sql, found.certain, found.click, found.visible) == (False, False, click, True)
    assert (await room.gathering.person(77)).sql is False
    assert (await room.gathering.order("A-1")).sql is False


async def test_without_any_copy_the_ad_is_the_dictionarys(room: Room) -> None:
    (found,) = (await room.gathering.token(room.token(bare_click()))).clicks
    assert (found.click, found.ad) == (None, Ad("fb"))


async def test_what_sql_says_of_one_moment_stands_before_what_other_stores_still_have(room: Room) -> None:
    click = bare_click(sealed=b"x" * 40)
    room.stores.where_says |= {"redis": Found(click)}
    room.stores.trace = Trace(clicks=(room.traced(click, None, erased_at_ms=click.at_ms),))
    (found,) = (await room.gathering.token(room.token(click))).clicks
    assert (found.click, found.erased_at_ms) == (None, click.at_ms)


async def test_what_waits_in_spools_is_gathered_by_click_person_and_order(room: Room) -> None:
    click, other = bare_click(), bare_click()
    start = Start.with_token(ANA, ref(click), at_ms=5, update_id=None)
    elsewhere = Start.with_token(Owner(bot_id=2, telegram_id=77), ref(other), at_ms=6, update_id=None)
    sale = Conversion(id=UUID(int=1), event=PURCHASE, at_ms=7, owner=ANA, order_id="A-1")
    room.stores.spooled = [start, elsewhere, sale]
    assert (await room.gathering.token(room.token(click))).waiting == (start,)
    assert (await room.gathering.person(77)).waiting == (start, elsewhere, sale)
    assert (await room.gathering.person(77, "shop_bot")).waiting == (start, sale)
    assert (await room.gathering.order("A-1")).waiting == (sale,)


async def test_what_is_settled_and_not_trimmed_yet_does_not_wait(room: Room) -> None:
    click = bare_click()
    start = Start.with_token(ANA, ref(click), at_ms=5, update_id=None)
    sale = Conversion(id=UUID(int=1), event=PURCHASE, at_ms=7, owner=ANA, order_id="A-1")
    room.stores.spooled = [start, sale]
    noted = TracedStart(owner=ANA, at_ms=5, kind="attributed", click_id=click.id, reply=None)
    row = TracedDelivery(
        event_id=sale.id,
        lane="meta/1",
        event=PURCHASE,
        at_ms=7,
        state="sent",
        reason=None,
        code=None,
        trace=None,
        attempts=1,
        next_at_ms=7,
        sent_at_ms=8,
        matched=(),
        click_id=click.id,
        bot_id=1,
        telegram_id=77,
        order_id="A-1",
        money=None,
    )
    room.stores.trace = Trace(clicks=(room.traced(click),), starts=(noted,), deliveries=(row,))
    assert (await room.gathering.person(77)).waiting == ()


async def test_a_spool_that_cannot_be_read_in_time_is_said_so(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.stores.spool_read = False
    assert (await room.gathering.order("A-1")).waiting_read is False

    async def never(_wanted: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(gather, "SPOOL_SECONDS", 0.0)
    monkeypatch.setattr(room.stores, "waiting", never)
    facts = await room.gathering.order("A-1")
    assert (facts.waiting_read, facts.waiting, facts.sql) == (False, (), True)


@pytest.mark.parametrize(
    ("sealed", "age_days", "keys", "original"),
    [
        (b"x" * 40, 0, True, "kept"),
        (b"x" * 40, 0, False, "gone"),
        (None, 9, True, "gone"),
        (None, 0, True, "none"),
    ],
)
async def test_whether_the_original_is_still_there_is_known_without_opening_it(
    room: Room, sealed: bytes | None, age_days: int, keys: bool, original: str
) -> None:
    room.stores.keys = keys
    click = bare_click(id=new_id(room.clock.now_ms() - age_days * DAY), sealed=sealed)
    room.stores.trace = Trace(clicks=(room.traced(click),))
    (found,) = (await room.gathering.person(77)).clicks
    assert found.original == original


async def test_a_person_is_asked_for_in_the_bot_that_is_named(room: Room) -> None:
    assert (await room.gathering.person(77, "shop_bot")).asked == OfPerson(telegram_id=77, bot="shop_bot")
    assert room.stores.asked == ["of_person 1", "spools"]
    with pytest.raises(UnknownBot):
        await room.gathering.person(77, "nobody_bot")


async def test_an_order_is_asked_for_as_it_is_written(room: Room) -> None:
    assert (await room.gathering.order("A 17/ß")).asked == OfOrder(order_id="A 17/ß")
    assert "of_order A 17/ß" in room.stores.asked
