"""An event that happened to nobody, for the operator to see that a pixel can be sent to. Pure."""

import json
from hashlib import sha256
from uuid import UUID

# Addresses of documentation (RFC 5737), which are nobody's.
_ADDRESS = "192.0.2.1"
_AGENT = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36"
_ANYWHERE = "https://example.com"


def event_for_test(event_id: UUID, base_url: str, at_ms: int) -> bytes:
    """A PageView of somebody who does not exist, as JSON; `base_url` is what ad URLs begin with, if visitors can reach it."""
    base = base_url if base_url.startswith("https://") else _ANYWHERE
    event = {
        "event_name": "PageView",
        "event_time": at_ms // 1000,
        "event_id": str(event_id),
        "action_source": "website",
        "event_source_url": f"{base}/",
        "user_data": {
            "client_ip_address": _ADDRESS,
            "client_user_agent": _AGENT,
            "external_id": [sha256(event_id.bytes).hexdigest()],
            "fbp": f"fb.1.{at_ms}.{event_id.int % 10**10}",
        },
    }
    return json.dumps(event).encode()
