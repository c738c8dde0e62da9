"""What the handlers of the private listener share: errors in one shape, and bodies with a limit."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


def error(status: int, code: str, detail: str, *, retry: bool = False) -> Response:
    """`{"error": code, "detail": text}`; with `retry`, the sender is asked to come back in a second."""
    headers = {"retry-after": "1"} if retry else None
    return JSONResponse({"error": code, "detail": detail}, status_code=status, headers=headers)


async def capped_body(request: Request, limit: int) -> bytes | None:
    """The body, or None as soon as it has more than `limit` bytes: no more than that is ever held."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit:
            return None
    return bytes(raw)
