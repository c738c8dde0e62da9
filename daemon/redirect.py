"""The hot path: capture -> bot -> token -> seal -> put -> 302. An ASGI callable; no framework and no middleware on it.

Whatever the stores do, a live link gets its 302, or its page (I10). The same answer for everyone: people, crawlers, reviewers.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol
from uuid import UUID

from backends.catalog_cache import CatalogCache
from daemon.bridge import Bridge
from daemon.capture import Capture
from domain.books import ReceiptBook
from domain.click import Click, Visit
from domain.clock import Clock
from domain.ids import ClickIds
from domain.links import Link
from domain.observations import Observer, RedirectOutcome
from domain.outcomes import NOTHING_PROMISED, Receipt
from domain.pools import Dealer
from privacy.pseudonymise import Pseudonymiser
from privacy.token import Minter, ad_key
from runtime.logs import get_logger

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
PREFIX = "/go/"
_log = get_logger("trilha.redirect")
_COMMON = [
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
Headers = list[tuple[bytes, bytes]]
Answer = tuple[RedirectOutcome, int, Headers, bytes]


def _plain(outcome: RedirectOutcome, status: int, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    body = text.encode()
    return outcome, status, [_TEXT, *headers, *_COMMON, (b"content-length", str(len(body)).encode())], body


_MOVED: Headers = [*_COMMON, (b"content-length", b"0")]
_UNKNOWN_SLUG = _plain("unknown_slug", 404, "Este link não existe. / There is no such link.\n")
_GONE = _plain("gone", 410, "Este link não está mais ativo. / This link is no longer active.\n")
_NOT_READY = _plain(
    "not_ready", 503, "Tente de novo em instantes. / Try again in a moment.\n", (b"retry-after", b"2")
)
_BAD_METHOD = _plain("bad_method", 405, "Only GET and HEAD.\n", (b"allow", b"GET, HEAD"))


def _elsewhere(link: Link) -> Answer:
    """The answer of a link that leads to no bot now."""
    if link.fallback_url:
        return "fallback", 302, [(b"location", link.fallback_url.encode("ascii")), *_MOVED], b""
    return _GONE


class Store(Protocol):
    """Where clicks go: at once, or when there are too many of them, later."""

    @property
    def may_wait(self) -> bool: ...
    def put_later(self, click: Click) -> Receipt: ...
    async def put(self, click: Click) -> Receipt: ...


class Redirect:
    """Answers `/go/SLUG` on the public listener, and 404 to everything else."""

    def __init__(
        self,
        *,
        catalog: CatalogCache,
        capture: Capture,
        dealer: Dealer,
        minter: Minter,
        pseudonymiser: Pseudonymiser,
        store: Store,
        book: ReceiptBook,
        ids: ClickIds,
        clock: Clock,
        observer: Observer,
        node: int,
        telegram_host: str,
        at_once: int,
    ) -> None:
        self._catalog = catalog
        self._capture = capture
        self._dealer = dealer
        self._minter = minter
        self._pseudonymiser = pseudonymiser
        self._store = store
        self._book = book
        self._ids = ids
        self._clock = clock
        self._observer = observer
        self._node = node
        self._telegram = f"https://{telegram_host}/"
        self._at_once = at_once
        self._storing = 0
        self._bridge = Bridge(telegram_host)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """One request, one answer."""
        began = self._clock.monotonic()
        outcome, status, headers, body = await self._answer(scope)
        self._observer.redirect(outcome, self._clock.monotonic() - began)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope) -> Answer:
        path = scope["path"]
        if not path.startswith(PREFIX):
            return _UNKNOWN_SLUG
        if scope["method"] not in {"GET", "HEAD"}:
            return _BAD_METHOD
        link = self._catalog.link(path[len(PREFIX) :])
        if link is None:
            return _UNKNOWN_SLUG if self._catalog.loaded else _NOT_READY
        return await self._send_on(scope, link) if link.live else _elsewhere(link)

    async def _send_on(self, scope: Scope, link: Link) -> Answer:
        visit = self._capture.visit(scope, self._clock.now_ms())
        click_id = self._ids.new(visit.at_ms)
        bot = self._dealer.bot(link, click_id)
        token = await self._track(visit, click_id, link.id)
        if link.bridge:
            body, headers = self._bridge.page(bot.username, token)
            return "bridged" if bot.fit else "bridged_unfit", 200, [*headers, *_COMMON], body
        location = f"{self._telegram}{bot.username}?start={token}"
        outcome: RedirectOutcome = "redirected" if bot.fit else "redirected_unfit"
        return outcome, 302, [(b"location", location.encode("ascii")), *_MOVED], b""

    async def _track(self, visit: Visit, click_id: UUID, link_id: int) -> str:
        """The token of this visit. It is minted before any store is asked, so it exists whatever fails then."""
        key = ad_key(visit.ad)
        token = self._minter.mint(click_id, link_id, key)
        crowded = self._storing >= self._at_once
        self._storing += 1
        try:
            if crowded and not self._store.may_wait:
                # Data are lost here, on purpose and counted: all that is left is in the token.
                receipt = self._shed("token")
            else:
                click = self._pseudonymiser.click(
                    visit, click_id=click_id, link_id=link_id, node=self._node, ad_key=key
                )
                receipt = self._shed("later", click) if crowded else await self._store.put(click)
        except Exception as error:  # noqa: BLE001  tracking may never block a redirect; the click is lost here, counted
            _log.error("a click could not be built", error=type(error).__name__)
            receipt = NOTHING_PROMISED
        finally:
            self._storing -= 1
        self._book.issued(visit.at_ms, receipt)
        return token.text

    def _shed(self, level: str, click: Click | None = None) -> Receipt:
        """Too many redirects wait for their stores. This one does not: its click is kept later, or not at all."""
        self._observer.shed(level)
        receipt = NOTHING_PROMISED if click is None else self._store.put_later(click)
        self._observer.receipt(receipt, 1)
        return receipt
