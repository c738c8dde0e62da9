"""HTTP to places that others may have a say in: the host is resolved once, every address of it is checked, and the connection
goes to one that was checked (ADR 0023). No redirect is followed, no proxy of the environment used, no cookie kept.

Architecture invariant: the only file of delivery/ beside meta/client.py that imports an HTTP client.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

import httpx2

from delivery.safe_address import Address, AllowedHosts, Target, may_connect, parse_url
from domain.errors import ConfigError

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, for a connection to that port. Raises OSError or UnicodeError."""
Trouble = Literal["refused", "unreachable", "tls", "timeout", "protocol"]
CALL_SECONDS = 10.0
"""What a whole call may take, looking up the host included."""
CONNECT_SECONDS = 3.0
"""What one address may take, so that an address that swallows packets leaves time for the next."""
MOST_ADDRESSES = 3
LARGEST_ANSWER = 64 * 1024
BODY_SHARE = 0.1
"""Of a call's time, for its answer's body: by then the status is known, and it decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An answer: its status, `Retry-After`, and the beginning of its body (64 KiB), which is nobody's to trust."""

    status: int
    retry_after: str | None = None
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unheard:
    """There was no answer. Only `refused` and `unreachable` say that nothing was sent. reason: nothing of the URL is in it."""

    kind: Trouble
    reason: str


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the machine's resolver orders them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class SafeHttp:
    """Posts to public addresses over TLS, and to hosts that the operator allows also in clear and to private addresses.

    Every call is a connection of its own: what was checked for one name is not used for another. tls None: the machine's own
    certificates count.
    """

    def __init__(
        self,
        *,
        allowed: Iterable[str] = (),
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        seconds: float = CALL_SECONDS,
    ) -> None:
        self._allowed = AllowedHosts(allowed)
        self._resolve = resolve
        self._tls = tls or ssl.create_default_context()
        self._seconds = seconds

    async def check(self, url: str) -> None:
        """ConfigError says why nothing would be posted there, as things are now."""
        target = parse_url(url)
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._addresses(target)
        except TimeoutError:
            raise ConfigError("the URL's host cannot be found: no answer in time") from None
        if isinstance(found, Unheard):
            raise ConfigError(found.reason)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Heard | Unheard:
        """What is answered to the body. Nothing is raised."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(parse_url(url), body, headers)
        except TimeoutError:
            return Unheard(kind="timeout", reason=f"no answer within {self._seconds:g} seconds")
        except ConfigError as error:
            return Unheard(kind="refused", reason=str(error))

    async def _post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Heard | Unheard:
        addresses = await self._addresses(target)
        if isinstance(addresses, Unheard):
            return addresses
        answer: Heard | Unheard = _NO_ADDRESS
        for address in addresses[:MOST_ADDRESSES]:
            answer = await self._call(target, address, body, headers)
            if isinstance(answer, Heard) or answer.kind != "unreachable":
                break
        return answer

    async def _addresses(self, target: Target) -> list[Address] | Unheard:
        """All of them, each checked: a host with one that is not public is somebody's attempt, or a mistake."""
        allowed = self._allowed.has(target)
        if target.scheme != "https" and not allowed:
            return Unheard(
                kind="refused", reason="the URL is not https, and its host is not in TRILHA_WEBHOOK_HOSTS"
            )
        try:
            found = [ip_address(text) for text in await self._texts(target)]
        except (OSError, ValueError):
            return Unheard(kind="unreachable", reason="the URL's host cannot be found")
        if not all(may_connect(address, allowed=allowed) for address in found):
            return Unheard(kind="refused", reason=_MAY_NEVER if allowed else _NOT_PUBLIC)
        return found or _NO_ADDRESS

    async def _texts(self, target: Target) -> Sequence[str]:
        return await self._resolve(target.host, target.port) if target.literal is None else [target.host]

    async def _call(
        self, target: Target, address: Address, body: bytes, headers: Mapping[str, str]
    ) -> Heard | Unheard:
        # An address as the URL's host leaves nothing to be looked up again. Certificate and Host are the name's.
        request = httpx2.Request(
            "POST",
            httpx2.URL(
                scheme=target.scheme, host=str(address), port=target.port, raw_path=target.path.encode()
            ),
            headers={"host": target.authority, "accept-encoding": "identity", **headers},
            content=body,
            extensions={"sni_hostname": target.host, "timeout": {"connect": CONNECT_SECONDS}},
        )
        try:
            # A transport, not a client: no redirects, no cookies, and no log line with the URL in it.
            async with httpx2.AsyncHTTPTransport(verify=self._tls, trust_env=False) as transport:
                return await self._heard(await transport.handle_async_request(request))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return _unheard(error)

    async def _heard(self, answer: httpx2.Response) -> Heard:
        try:
            body = await _beginning(answer, self._seconds * BODY_SHARE)
        finally:
            await answer.aclose()
        retry_after = answer.headers.get("retry-after")
        return Heard(status=answer.status_code, retry_after=retry_after, body=body)


_NO_ADDRESS = Unheard(kind="unreachable", reason="the URL's host has no address")
_NOT_PUBLIC = "the URL leads to an address that is not public. If that is in your own network, name its host in TRILHA_WEBHOOK_HOSTS"
_MAY_NEVER = "the URL leads to an address where clouds keep credentials, or to no single machine"


async def _beginning(answer: httpx2.Response, seconds: float) -> bytes:
    """As much of the body as is wanted and comes in time. What goes wrong with it does not unsay the status."""
    body = bytearray()
    with suppress(httpx2.HTTPError, TimeoutError):
        async with asyncio.timeout(seconds), aclosing(answer.aiter_raw()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) >= LARGEST_ANSWER:
                    break
    return bytes(body[:LARGEST_ANSWER])


def _unheard(error: Exception) -> Unheard:
    if _is_tls(error):
        return Unheard(
            kind="tls",
            reason="no TLS connection: its certificate is not valid for this host, or it speaks none",
        )
    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout)):
        return Unheard(kind="unreachable", reason="no connection could be made to its address")
    return Unheard(kind="protocol", reason=f"the connection broke ({type(error).__name__})")


def _is_tls(error: BaseException | None) -> bool:
    """Whether the trouble began with TLS."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__
    return False
