"""Guard: what holds for every request and every answer, before any page is asked."""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.settings import Settings

LARGEST_BODY = 64 * 1024
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class TooLarge(Exception):
    """The body exceeds what any form of ours holds."""


class Guard:
    """An ASGI layer: hosts that are ours, TLS as trusted proxies tell it, bodies of at most 64 KiB, headers on every answer."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = _hosts_of(settings)
        self._proxies = settings.trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope)
        scope["scheme"] = self._scheme(scope, headers)
        send = _with_headers(send, https=scope["scheme"] == "https")
        if scope["path"] != "/healthz" and _host(headers.get("host", "")) not in self._hosts:
            # A page elsewhere may have its name point here (DNS rebinding): then the browser takes us for that page.
            answer = PlainTextResponse(
                "not a name of this dashboard. Set TRILHA_DASHBOARD_URL to its address, such as https://trilha.example.com\n",
                421,
            )
            await answer(scope, receive, send)
            return
        try:
            await self._app(scope, _capped(receive), send)
        except TooLarge:
            await PlainTextResponse("the form is too large\n", 413)(scope, receive, send)

    def _scheme(self, scope: Scope, headers: Headers) -> str:
        said = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        return said if said in {"http", "https"} and self._trusts(scope) else "http"

    def _trusts(self, scope: Scope) -> bool:
        try:
            peer = ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        return any(peer in network for network in self._proxies)


def _hosts_of(settings: Settings) -> frozenset[str]:
    names = {settings.dashboard_bind.host, *_LOOPBACK}
    if settings.dashboard_url:
        names.add(urlsplit(settings.dashboard_url).hostname or "")
    return frozenset(name.lower() for name in names if name not in {"0.0.0.0", "::"})


def _host(header: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _capped(receive: Receive) -> Receive:
    seen = 0

    async def capped() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LARGEST_BODY:
            raise TooLarge
        return message

    return capped


def _with_headers(send: Send, *, https: bool) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
            if https:
                headers["strict-transport-security"] = "max-age=31536000"
        await send(message)

    return sending
