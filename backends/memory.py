"""MemoryStore: the smallest store that passes the contract. For tests and tools; it outlives nothing."""

from collections.abc import Sequence
from uuid import UUID

from backends.codec import Packed
from domain.click import Click
from domain.outcomes import MISSING, Durability, Found, Lookup, Receipt

_RECEIPT = Receipt(durability=Durability.TOKEN_ONLY, visible=True)


class MemoryStore:
    """Clicks in a dict."""

    def __init__(self) -> None:
        self._clicks: dict[UUID, Click] = {}

    async def put(self, click: Click) -> Receipt:
        """Keep the click, unless one of that id is kept already."""
        self._clicks.setdefault(click.id, click)
        return _RECEIPT

    async def put_batch(self, batch: Sequence[Packed]) -> Receipt:
        """Keep all of them."""
        for click, _ in batch:
            await self.put(click)
        return _RECEIPT

    async def find(self, click_id: UUID) -> Lookup:
        """Found or Missing."""
        click = self._clicks.get(click_id)
        return MISSING if click is None else Found(click)

    async def discard(self, click_id: UUID) -> None:
        """Forget the click."""
        self._clicks.pop(click_id, None)

    async def probe(self) -> None:
        """Memory always works."""
