"""The hot path when something that must not fail does: the visitor is redirected all the same."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.catalog_cache import CatalogCache
from daemon.capture import Capture
from daemon.client_ip import ClientIp
from daemon.redirect import Redirect
from domain.books import ReceiptBook
from domain.click import Click
from domain.clock import ManualClock
from domain.ids import ClickIds
from domain.links import Bot, Catalog, Link, Member
from domain.observations import RedirectOutcome, Silent
from domain.outcomes import NOTHING_PROMISED, Durability, Receipt
from domain.pools import Dealer
from privacy.keyring import Keyring
from privacy.pseudonymise import Pseudonymiser
from privacy.seal import Sealer
from privacy.token import Minter

ANA, BIA = Bot(id=1, username="ana_bot"), Bot(id=2, username="bia_bot")
BANNED = Bot(id=3, username="ced_bot", health="banned")
PROMO = Link(id=9, slug="promo", name="Promo", pool=(Member(bot=ANA),))
CATALOG = Catalog(version=1, bots=(ANA, BIA, BANNED), links=(PROMO,))


class Source:
    """A catalog that counts how often it is asked."""

    def __init__(self, catalog: Catalog) -> None:
        self.asked = 0
        self.catalog = catalog

    async def version(self) -> int:
        self.asked += 1
        return self.catalog.version

    async def load(self) -> Catalog:
        self.asked += 1
        return self.catalog


class Broken:
    """A store, or a pseudonymiser, with a bug in it."""

    async def put(self, click: Click) -> Receipt:
        raise RuntimeError("a bug that names 177.1.2.3")

    def click(self, *_: object, **__: object) -> Click:
        raise ValueError("a bug that names 177.1.2.3")


class Keeping:
    """A store that keeps what it is given."""

    def __init__(self) -> None:
        self.clicks: list[Click] = []

    async def put(self, click: Click) -> Receipt:
        self.clicks.append(click)
        return Receipt(durability=Durability.SYNCED, visible=False)


class Slow(Keeping):
    """A store that takes its time until it is told to go on, with room for some clicks that come later."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.later: list[Click] = []
        self._room = room

    @property
    def may_wait(self) -> bool:
        return len(self.later) < self._room

    def put_later(self, click: Click) -> Receipt:
        self.later.append(click)
        return NOTHING_PROMISED

    async def put(self, click: Click) -> Receipt:
        await self.go_on.wait()
        return await super().put(click)


class Hearing(Silent):
    """An observer that keeps the outcomes of redirects."""

    def __init__(self) -> None:
        self.outcomes: list[RedirectOutcome] = []
        self.levels: list[str] = []
        self.receipts: list[Receipt] = []

    def shed(self, level: str) -> None:
        self.levels.append(level)

    def receipt(self, receipt: Receipt, clicks: int) -> None:
        self.receipts += [receipt] * clicks

    def redirect(self, outcome: RedirectOutcome, seconds: float) -> None:
        self.outcomes.append(outcome)


class Room:
    """The hot path with collaborators to choose."""

    def __init__(
        self,
        folder: Path,
        *,
        store: Any = None,
        pseudonymiser: Any = None,
        link: Link = PROMO,
        at_once: int = 1000,
    ) -> None:
        clock = ManualClock()
        ring = Keyring.create(folder / "ring.json", clock)
        self.source = Source(replace(CATALOG, links=(link,)))
        self.heard = Hearing()
        self.catalog = CatalogCache(self.source, folder / "catalog.json", clock)
        self.minter = Minter(ring, clock, node=0, attribution_days=28)
        self.book = ReceiptBook(node=0, boot="b")
        self.store = store or Keeping()
        self.redirect = Redirect(
            catalog=self.catalog,
            capture=Capture(ClientIp([])),
            dealer=Dealer(),
            minter=self.minter,
            pseudonymiser=pseudonymiser or Pseudonymiser(ring, Sealer(ring)),
            store=self.store,
            book=self.book,
            ids=ClickIds(),
            clock=clock,
            observer=self.heard,
            node=0,
            telegram_host="t.me",
            at_once=at_once,
        )

    async def get(self, path: str = "/go/promo") -> tuple[int, dict[bytes, bytes]]:
        status, headers, _ = await self.asked(path)
        return status, headers

    async def asked(
        self, path: str = "/go/promo", method: str = "GET"
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"utm_source=FB",
            "headers": [(b"host", b"a")],
            "client": ("177.1.2.3", 1),
        }
        await self.redirect(scope, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize("broken", ["store", "pseudonymiser"])
async def test_a_bug_behind_the_redirect_costs_the_click_and_never_the_visitor(
    tmp_path: Path, broken: str
) -> None:
    room = Room(tmp_path, **{broken: Broken()})
    await room.catalog.refresh()
    status, headers = await room.get()
    assert status == 302
    assert room.minter.verify(headers[b"location"].decode().partition("?start=")[2]).link_id == 9
    (entry,) = room.book.take()
    assert (entry.issued, entry.token_only, entry.synced) == (1, 1, 0)


async def test_what_is_stored_carries_the_ids_of_the_token_that_was_given_out(tmp_path: Path) -> None:
    room = Room(tmp_path)
    await room.catalog.refresh()
    _, headers = await room.get()
    ref = room.minter.verify(headers[b"location"].decode().partition("?start=")[2])
    (click,) = room.store.clicks
    assert (click.id, click.link_id, click.ad_key) == (ref.id, ref.link_id, ref.ad_key)


async def test_no_request_asks_the_catalogs_source(tmp_path: Path) -> None:
    room = Room(tmp_path)
    await room.catalog.refresh()
    asked = room.source.asked
    statuses = [(await room.get(path))[0] for path in ("/go/promo", "/go/none", "/") * 50]
    assert set(statuses) == {302, 404}
    assert room.source.asked == asked


def pool(*bots: Bot) -> tuple[Member, ...]:
    return tuple(Member(bot=bot) for bot in bots)


async def test_the_bots_of_a_pool_share_the_visitors_and_an_unfit_one_gets_none(tmp_path: Path) -> None:
    room = Room(tmp_path, link=replace(PROMO, pool=pool(BANNED, ANA, BIA)))
    await room.catalog.refresh()
    locations = [(await room.get())[1][b"location"].decode() for _ in range(200)]
    assert {where.partition("?start=")[0] for where in locations} == {
        "https://t.me/ana_bot",
        "https://t.me/bia_bot",
    }
    assert set(room.heard.outcomes) == {"redirected"}


async def test_a_token_names_the_link_whichever_bot_it_was_given_out_for(tmp_path: Path) -> None:
    room = Room(tmp_path, link=replace(PROMO, pool=pool(ANA, BIA), strategy="round_robin"))
    await room.catalog.refresh()
    tokens = [(await room.get())[1][b"location"].decode().partition("?start=")[2] for _ in range(4)]
    assert {room.minter.verify(token).link_id for token in tokens} == {9}
    assert len(set(tokens)) == 4


async def test_with_no_fit_bot_the_visitor_is_sent_on_and_counted_apart(tmp_path: Path) -> None:
    for bridge, status, outcome in ((False, 302, "redirected_unfit"), (True, 200, "bridged_unfit")):
        folder = tmp_path / outcome
        folder.mkdir()
        room = Room(folder, link=replace(PROMO, pool=pool(BANNED), bridge=bridge))
        await room.catalog.refresh()
        got, headers, body = await room.asked()
        assert (got, room.heard.outcomes) == (status, [outcome])
        assert b"ced_bot" in headers.get(b"location", b"") + body
        (entry,) = room.book.take()
        assert (entry.issued, entry.synced) == (1, 1)


async def test_a_link_with_a_bridge_answers_a_page_with_the_token_of_a_kept_click(tmp_path: Path) -> None:
    room = Room(tmp_path, link=replace(PROMO, bridge=True))
    await room.catalog.refresh()
    status, headers, body = await room.asked()
    tokens = set(re.findall(rb"start=([A-Za-z0-9_-]+)\"", body))
    assert (status, room.heard.outcomes, len(tokens)) == (200, ["bridged"], 1)
    assert room.minter.verify(tokens.pop().decode()).id == room.store.clicks[0].id
    assert b"location" not in headers
    assert (headers[b"cache-control"], headers[b"referrer-policy"]) == (b"no-store", b"no-referrer")


async def test_head_of_a_bridge_is_its_headers_alone(tmp_path: Path) -> None:
    room = Room(tmp_path, link=replace(PROMO, bridge=True))
    await room.catalog.refresh()
    (_, got, body), (status, head, none) = await room.asked(), await room.asked(method="HEAD")
    assert (status, head, none) == (200, got, b"")
    assert int(head[b"content-length"]) == len(body)


@pytest.mark.parametrize("broken", ["store", "pseudonymiser"])
async def test_a_bug_behind_the_bridge_costs_the_click_and_never_the_page(
    tmp_path: Path, broken: str
) -> None:
    room = Room(tmp_path, link=replace(PROMO, bridge=True), **{broken: Broken()})
    await room.catalog.refresh()
    assert (await room.asked())[0] == 200
    (entry,) = room.book.take()
    assert (entry.issued, entry.token_only) == (1, 1)


async def test_an_empty_pool_is_gone_and_a_paused_bridge_too(tmp_path: Path) -> None:
    for name, link in (("a", replace(PROMO, pool=())), ("b", replace(PROMO, bridge=True, paused=True))):
        (tmp_path / name).mkdir()
        room = Room(tmp_path / name, link=link)
        await room.catalog.refresh()
        assert ((await room.get())[0], room.heard.outcomes) == (410, ["gone"])


async def test_under_load_tracking_is_shed_and_no_redirect(tmp_path: Path) -> None:
    """Two wait for the store; the next three are answered without it, two of them kept for later, one by its token."""
    store = Slow(room=2)
    room = Room(tmp_path, store=store, at_once=2)
    await room.catalog.refresh()
    waiting = [asyncio.create_task(room.get()) for _ in range(2)]
    await asyncio.sleep(0)
    answered = [await room.get() for _ in range(3)]
    assert room.heard.levels == ["later", "later", "token"]
    assert not any(task.done() for task in waiting)
    store.go_on.set()
    answered += await asyncio.gather(*waiting)
    refs = [
        room.minter.verify(headers[b"location"].decode().partition("?start=")[2]) for _, headers in answered
    ]
    assert [status for status, _ in answered] == [302] * 5
    assert [ref.id for ref in refs] == [
        *(click.id for click in store.later),
        refs[2].id,
        *(click.id for click in store.clicks),
    ]
    assert {(ref.link_id, ref.ad_key) for ref in refs} == {(9, store.clicks[0].ad_key)}
    assert all(click.sealed and click.params for click in store.later)  # no detail is missing


async def test_what_is_shed_is_promised_nothing_and_the_books_say_so(tmp_path: Path) -> None:
    store = Slow(room=1)
    room = Room(tmp_path, store=store, at_once=1)
    await room.catalog.refresh()
    waiting = asyncio.create_task(room.get())
    await asyncio.sleep(0)
    for _ in range(3):
        await room.get()
    store.go_on.set()
    await waiting
    (entry,) = room.book.take()
    assert (entry.issued, entry.synced, entry.token_only) == (4, 1, 3)
    assert room.heard.receipts == [NOTHING_PROMISED] * 3


async def test_once_the_load_is_over_clicks_are_stored_as_before(tmp_path: Path) -> None:
    store = Slow(room=9)
    room = Room(tmp_path, store=store, at_once=1)
    await room.catalog.refresh()
    waiting = asyncio.create_task(room.get())
    await asyncio.sleep(0)
    await room.get()
    store.go_on.set()
    await waiting
    await room.get()
    assert (len(store.clicks), len(store.later)) == (2, 1)


@pytest.mark.parametrize("broken", ["store", "pseudonymiser"])
async def test_after_bugs_the_count_of_those_that_wait_is_right(tmp_path: Path, broken: str) -> None:
    room = Room(tmp_path, **{broken: Broken()}, at_once=1)
    await room.catalog.refresh()
    for _ in range(5):
        await room.get()
    assert room.heard.levels == []
