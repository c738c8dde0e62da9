"""Events that Meta takes, for tests that spoil them."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import time
from typing import Any

PIXEL = "123456789012345"
TOKEN = "EAAB" + "x" * 60
AGENT = (
    "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile"
)
_numbers = itertools.count(1)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def proof(secret: str, token: str) -> str:
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


def good_event(*, now: float | None = None, **changes: Any) -> dict[str, Any]:
    """A website event of now (Unix seconds) with an id of its own. Keys of `changes` replace the event's."""
    now = int(time.time() if now is None else now)
    return {
        "event_name": "ViewContent",
        "event_time": now - 5,
        "event_id": f"event-{next(_numbers)}",
        "event_source_url": "https://go.example.com/go/promo",
        "action_source": "website",
        "user_data": {
            "client_ip_address": "2001:db8::1",
            "client_user_agent": AGENT,
            "fbc": f"fb.1.{(now - 60) * 1000}.IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk",
            "fbp": f"fb.1.{(now - 60) * 1000}.1098115397",
            "external_id": [digest("42")],
            "country": [digest("br")],
            "ct": [digest("sãopaulo"), digest("saopaulo")],
        },
    } | changes


def good_purchase(*, now: float | None = None, **changes: Any) -> dict[str, Any]:
    """A Purchase of 49.90 BRL. Keys of `changes` replace the event's."""
    custom = {"value": 49.9, "currency": "BRL", "order_id": "order-1", "content_ids": ["vip"], "num_items": 1}
    return good_event(now=now, event_name="Purchase", custom_data=custom) | changes
