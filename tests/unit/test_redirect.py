"""The hot path when something that must not fail does: the visitor is redirected all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.capture import Capture
from daemon.catalog import CatalogCache
from daemon.client_ip import ClientIp
from daemon.redirect import Redirect
from domain.books import ReceiptBook
from domain.click import Click
from domain.clock import ManualClock
from domain.ids import ClickIds
from domain.links import Bot, Catalog, Link, Member
from domain.observations import Silent
from domain.outcomes import Durability, Receipt
from domain.pools import Dealer
from privacy.keyring import Keyring
from privacy.pseudonymise import Pseudonymiser
from privacy.seal import Sealer
from privacy.token import Minter

ANA = Bot(id=1, username="ana_bot")
CATALOG = Catalog(
    version=1, bots=(ANA,), links=(Link(id=9, slug="promo", name="Promo", pool=(Member(bot=ANA),)),)
)


class Source:
    """A catalog that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def version(self) -> int:
        self.asked += 1
        return CATALOG.version

    async def load(self) -> Catalog:
        self.asked += 1
        return CATALOG


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


class Room:
    """The hot path with collaborators to choose."""

    def __init__(self, folder: Path, *, store: Any = None, pseudonymiser: Any = None) -> None:
        clock = ManualClock()
        ring = Keyring.create(folder / "ring.json", clock)
        self.source = Source()
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
            observer=Silent(),
            node=0,
            telegram_host="t.me",
        )

    async def get(self, path: str = "/go/promo") -> tuple[int, dict[bytes, bytes]]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"utm_source=FB",
            "headers": [(b"host", b"a")],
            "client": ("177.1.2.3", 1),
        }
        await self.redirect(scope, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"])


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
