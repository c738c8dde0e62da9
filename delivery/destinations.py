"""From the name of a lane to its destination, as SQL has it at this moment: a renewed token counts from the next batch on."""

from typing import Protocol

from delivery.destination import Destination, Refusal
from delivery.meta.client import MetaClient
from delivery.meta.destination import MetaDestination
from delivery.safe_http import SafeHttp
from delivery.webhook import WebhookDestination
from domain.clock import Clock
from domain.conversions import pixel_of, webhook_of
from domain.pixels import SealedCredentials
from domain.webhooks import Webhook
from privacy.keyring import Keyring
from privacy.pixel_tokens import PixelTokens
from privacy.seal import Sealer
from privacy.webhook_secrets import WebhookSecrets


class PixelSource(Protocol):
    """Where pixels are kept. Raises StoreUnavailable; None: there is no such pixel."""

    async def credentials(self, pixel: str) -> SealedCredentials | None: ...


class WebhookSource(Protocol):
    """Where webhooks are kept. Raises StoreUnavailable; None: there is no such webhook."""

    async def find(self, name: str) -> Webhook | None: ...


class StoredDestinations:
    """The `Destinations` of a relay. The clients are its maker's to close."""

    def __init__(
        self,
        *,
        pixels: PixelSource,
        webhooks: WebhookSource,
        meta: MetaClient,
        posts: SafeHttp,
        keyring: Keyring,
        clock: Clock,
        base_url: str,
        honour_gpc: bool,
    ) -> None:
        self._pixels, self._webhooks = pixels, webhooks
        self._meta, self._posts = meta, posts
        self._tokens, self._secrets = PixelTokens(keyring), WebhookSecrets(keyring)
        self._sealer, self._keyring = Sealer(keyring), keyring
        self._clock = clock
        self._base_url, self._honour_gpc = base_url, honour_gpc

    async def of(self, lane: str) -> Destination | Refusal | None:
        if (pixel := pixel_of(lane)) is not None:
            return await self._pixel(pixel)
        if (name := webhook_of(lane)) is not None:
            return await self._webhook(name)
        return None

    async def _pixel(self, pixel: str) -> Destination | Refusal | None:
        sealed = await self._pixels.credentials(pixel)
        if sealed is None:
            return None
        held = self._tokens.open(pixel, sealed)
        if held.credentials is None:
            return _no_token(pixel, there=held.state != "none")
        return MetaDestination(
            pixel=pixel,
            credentials=held.credentials,
            client=self._meta,
            sealer=self._sealer,
            external_id=self._keyring.external_id,
            base_url=self._base_url,
            honour_gpc=self._honour_gpc,
        )

    async def _webhook(self, name: str) -> Destination | Refusal | None:
        webhook = await self._webhooks.find(name)
        if webhook is None:
            return None
        secret = self._secrets.of(webhook)
        if secret is None:
            return _to_mend(
                "secret", "no key of this machine opens its secret. Run: trilha webhook add --replace"
            )
        return WebhookDestination(url=webhook.url, secret=secret, client=self._posts, clock=self._clock)


def _no_token(pixel: str, *, there: bool) -> Refusal:
    what = "no key of this machine opens its access token" if there else "no access token"
    return _to_mend("token", f"{what}. Run: trilha pixel token {pixel}")


def _to_mend(code: str, reason: str) -> Refusal:
    return Refusal(kind="configuration", code=code, reason=reason)
