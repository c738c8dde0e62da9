"""One click as every store sees it: what `GET /v1/clicks/TOKEN` and `trilha click show` say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from domain.attribution import ClickRef
from domain.click import Ad, Click
from domain.clock import iso
from domain.enrichment import Enrichment, Scores
from domain.errors import StoreUnavailable
from domain.ids import uuid7_ms
from domain.links import Link
from domain.outcomes import Durability, Found, LedgerRow, Lookup, Unknown
from domain.ports import Ledger
from privacy.token import Minter

StoreSays = Literal["found", "missing", "unknown"]


class Locator(Protocol):
    """Asks every store."""

    async def where(self, click_id: UUID) -> dict[str, Lookup]: ...


class Links(Protocol):
    """Finds a link by the id that a token names."""

    def link_by_id(self, link_id: int) -> Link | None: ...


class AdDictionary(Protocol):
    """Says what an ad key stands for on a link. Raises StoreUnavailable."""

    async def ad(self, link_id: int, ad_key: bytes) -> Ad | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickView:
    """What is known. `click` None with `certain`: no store has it; without: a store that might could not be asked.

    stores: what each said, by its name. `ad` is what the click says itself or, without it, what the dictionary says of the token's ad key.
    """

    ref: ClickRef
    link: Link | None
    click: Click | None
    ad: Ad | None
    row: LedgerRow | None
    durability: Durability
    visible: bool
    certain: bool
    stores: Mapping[str, StoreSays]


class Inspect:
    """Looks one click up everywhere."""

    def __init__(
        self,
        *,
        minter: Minter,
        locator: Locator,
        ledger: Ledger,
        links: Links,
        ads: AdDictionary,
        spool_durability: Durability,
    ) -> None:
        self._minter = minter
        self._locator = locator
        self._ledger = ledger
        self._links = links
        self._ads = ads
        self._spool_durability = spool_durability

    async def click(self, token: str) -> ClickView:
        """The view of a token. Raises InvalidToken before any store is asked."""
        ref = self._minter.verify(token)
        where = await self._locator.where(ref.id)
        row, row_known = await self._row(ref.id)
        found = [lookup.click for lookup in where.values() if isinstance(lookup, Found)]
        unknown = [name for name, lookup in where.items() if isinstance(lookup, Unknown) and name != "redis"]
        return ClickView(
            ref=ref,
            link=self._links.link_by_id(ref.link_id),
            click=found[0] if found else None,
            ad=found[0].ad if found else await self._ad(ref),
            row=row,
            durability=self._durability(where),
            visible=isinstance(where.get("redis"), Found),
            certain=row_known and not unknown,
            stores={name: _says(lookup) for name, lookup in where.items()},
        )

    def _durability(self, where: dict[str, Lookup]) -> Durability:
        if isinstance(where["sql"], Found):
            return Durability.SYNCED
        return self._spool_durability if isinstance(where["disk"], Found) else Durability.TOKEN_ONLY

    async def _ad(self, ref: ClickRef) -> Ad | None:
        try:
            return await self._ads.ad(ref.link_id, ref.ad_key)
        except StoreUnavailable:
            return None

    async def _row(self, click_id: UUID) -> tuple[LedgerRow | None, bool]:
        try:
            return await self._ledger.row(click_id), True
        except StoreUnavailable:
            return None, False


def _says(lookup: Lookup) -> StoreSays:
    match lookup:
        case Found():
            return "found"
        case Unknown():
            return "unknown"
        case _:
            return "missing"


def view_json(view: ClickView, bot_name: "BotName") -> dict[str, Any]:
    """The object of the API and the CLI. Nothing raw is in it."""
    row, click = view.row, view.click
    return {
        "id": str(view.ref.id),
        "link": view.link.slug if view.link else None,
        "clicked_at": iso(uuid7_ms(view.ref.id)),
        "known_from": "click" if click else "token",
        "ad": view.ad._asdict() if view.ad else None,
        **click_json(click, row.enrichment if row else None),
        "durability": view.durability.value,
        "visible": view.visible,
        "settled": row is not None and row.click is not None,
        "owner": _owner_json(row, bot_name) if row and row.owner else None,
    }


def click_json(click: Click | None, added: Enrichment | None) -> dict[str, Any]:
    """What a click says of its ad and its visitor's request, and what was added to it; null until it was settled."""
    params = dict(click.params) if click else {}
    return {
        "utm": {name: value for name, value in params.items() if name.startswith("utm_")},
        "params": {name: value for name, value in params.items() if not name.startswith("utm_")},
        "has_fbclid": click is not None and click.fbclid_key is not None,
        "referer_host": click.referer_host if click else "",
        "language": click.language if click else "",
        "geo": added.geo._asdict() if added else None,
        "agent": added.agent._asdict() if added else None,
        "class": added.traffic.kind if added else "unknown",
        "evidence": list(added.traffic.evidence) if added else [],
        "tentative": added.traffic.tentative if added else None,
        "scores": _scores_json(added.scores) if added else None,
    }


def _scores_json(scores: Scores) -> dict[str, Any]:
    return {
        "bot": {"points": scores.bot.points, "reasons": [reason._asdict() for reason in scores.bot.reasons]},
        "fraud": {
            "points": scores.fraud.points,
            "reasons": [reason._asdict() for reason in scores.fraud.reasons],
        },
        "baseline_bot": scores.baseline_bot,
        "baseline_fraud": scores.baseline_fraud,
    }


class BotName(Protocol):
    """The username of a bot's id, or None."""

    def __call__(self, bot_id: int, /) -> str | None: ...


def _owner_json(row: LedgerRow, bot_name: BotName) -> dict[str, Any]:
    owner = row.owner
    return {
        "bot": bot_name(owner.bot_id) if owner else None,
        "telegram_id": owner.telegram_id if owner else None,
        "started_at": iso(row.started_at_ms) if row.started_at_ms is not None else None,
    }
