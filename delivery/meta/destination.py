"""A pixel as a Destination: sealed originals are opened here, for as long as a payload is made of them, and nowhere else
in `delivery/`.
"""

from collections.abc import Callable, Sequence

from delivery.destination import Answer, Prepared, Ready
from delivery.meta.client import MetaClient
from delivery.meta.payload import prepared
from domain.conversions import Delivery
from privacy.pixel_tokens import Credentials
from privacy.seal import Original, Sealer

MOST_EVENTS = 1000
"""Of one call: the limit that Meta documents."""
ExternalId = Callable[[int], str]


class MetaDestination:
    """One pixel's end. base_url: what ad URLs begin with, which a website event has to name."""

    most = MOST_EVENTS

    def __init__(
        self,
        *,
        pixel: str,
        credentials: Credentials,
        client: MetaClient,
        sealer: Sealer,
        external_id: ExternalId,
        base_url: str,
        honour_gpc: bool,
    ) -> None:
        self._pixel, self._credentials = pixel, credentials
        self._client, self._sealer, self._external_id = client, sealer, external_id
        self._base_url, self._honour_gpc = base_url, honour_gpc

    def prepared(self, delivery: Delivery, now_ms: int) -> Prepared:
        owner, slug = delivery.owner, delivery.slug
        return prepared(
            delivery,
            self._original(delivery),
            now_ms=now_ms,
            external_id=None if owner is None else self._external_id(owner.telegram_id),
            source_url=None if slug is None else f"{self._base_url}/go/{slug}",
            honour_gpc=self._honour_gpc,
        )

    async def send(self, events: Sequence[Ready]) -> Answer:
        return await self._client.events(self._pixel, self._credentials, [event.body for event in events])

    def _original(self, delivery: Delivery) -> Original | None:
        """None once its day's key is destroyed, too."""
        click = delivery.click
        return None if click is None or click.sealed is None else self._sealer.open(click.sealed, click.id)
