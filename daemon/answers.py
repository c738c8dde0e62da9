"""What the handlers of the private listener share: errors in one shape, and bodies with a limit."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class JsonAnswer(JSONResponse):
    """JSON, encoded as bodies are decoded."""

    def render(self, content: Any) -> bytes:
        """For starlette."""
        return msgspec.json.encode(content)


def error(status: int, code: str, detail: str, *, retry: bool = False) -> Response:
    """`{"error": code, "detail": text}`; with `retry`, the sender is asked to come back in a second."""
    headers = {"retry-after": "1"} if retry else None
    return JsonAnswer({"error": code, "detail": detail}, status_code=status, headers=headers)


async def capped_body(request: Request, limit: int) -> bytes | None:
    """The body, or None as soon as it has more than `limit` bytes: no more than that is ever held."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit:
            return None
    return bytes(raw)
