"""A webhook of the operator's own as a Destination: events in batches, every call signed."""

import hmac
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

from delivery.destination import Accepted, Answer, Prepared, Ready, Refusal, RefusalKind
from delivery.safe_http import Heard, SafeHttp, Unheard
from delivery.webhook_event import PING, batch, prepared
from domain.clock import Clock
from domain.conversions import Delivery

SIGNATURE = "Trilha-Signature"
MOST_EVENTS = 100
LONGEST_PAUSE = 3600.0
"""Seconds: no receiver keeps its lane waiting for longer by its `Retry-After`."""
_KINDS: dict[int, tuple[RefusalKind, str]] = {
    400: ("event", "it does not understand an event"),
    413: ("event", "the events are too large for it"),
    422: ("event", "it does not take an event"),
    401: ("configuration", "it does not accept the signature"),
    403: ("configuration", "it refuses us"),
    404: ("configuration", "nothing is at its URL"),
    405: ("configuration", "its URL takes no POST"),
    410: ("configuration", "it is gone for good"),
    415: ("configuration", "its URL takes no JSON"),
    429: ("throttled", "it wants fewer calls"),
}


class WebhookDestination:
    """A Destination of one webhook. Its secret is in no text that leaves it: calls carry signatures."""

    most = MOST_EVENTS

    def __init__(self, *, url: str, secret: str, client: SafeHttp, clock: Clock) -> None:
        self._url, self._secret = url, secret.encode()
        self._client, self._clock = client, clock

    def prepared(self, delivery: Delivery, now_ms: int) -> Prepared:
        return prepared(delivery, now_ms)

    async def send(self, events: Sequence[Ready]) -> Answer:
        return self.answer(await self._post(batch([event.body for event in events])))

    async def ping(self) -> Heard | Unheard:
        """What the receiver says to a signed call without events."""
        return await self._post(PING)

    def answer(self, heard: Heard | Unheard) -> Answer:
        """What it means for what was sent."""
        if isinstance(heard, Unheard):
            kind: RefusalKind = "configuration" if heard.kind == "refused" else "temporary"
            return Refusal(kind=kind, code=heard.kind, reason=heard.reason)
        if 200 <= heard.status < 300:
            return Accepted()
        kind, reason = _meaning(heard.status)
        return Refusal(
            kind=kind,
            code=str(heard.status),
            reason=f"the webhook answered {heard.status}: {reason}",
            retry_after=_pause(heard.retry_after, self._clock.now_ms()),
        )

    async def _post(self, body: bytes) -> Heard | Unheard:
        signature = sign(self._secret, body, self._clock.now_ms() // 1000)
        headers = {"content-type": "application/json", "user-agent": "Trilha", SIGNATURE: signature}
        return await self._client.post(self._url, body, headers)


def sign(secret: bytes, body: bytes, at: int) -> str:
    """The signature's header: when (Unix seconds), and HMAC-SHA-256 over that time, a dot and the body."""
    digest = hmac.digest(secret, b"%d." % at + body, "sha256").hex()
    return f"t={at},v1={digest}"


def _meaning(status: int) -> tuple[RefusalKind, str]:
    if 300 <= status < 400:
        return "configuration", "a redirect, and none is followed. Give the URL that it leads to"
    return _KINDS.get(status, ("temporary", "it cannot take them now"))


def _pause(text: str | None, now_ms: int) -> float | None:
    """Seconds of a `Retry-After`, which has them as digits or as a date."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_PAUSE)
    try:
        at = parsedate_to_datetime(text[:40])
        seconds = at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now_ms / 1000
    except (ValueError, TypeError, IndexError, OverflowError):  # what email.utils makes of what is no date
        return None
    return min(max(seconds, 0.0), LONGEST_PAUSE)
