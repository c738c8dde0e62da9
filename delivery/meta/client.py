"""Meta's Conversions API over HTTP: ready events in, an answer out. Nothing is raised, and no token leaves by another way
than the header that it belongs in.

Architecture invariant: the only file that speaks to Meta.
"""

import asyncio
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx2

from delivery.destination import Answer, Refusal
from delivery.meta.errors import MAX_BODY, accepted, refusal
from delivery.meta.quality import FIELDS, EventQuality, read_quality
from privacy.pixel_tokens import Credentials

VERSION = "v26.0"
"""Of the Graph API: current in July 2026. Meta ends each some day, and warns of it in a header of its answers."""
CONNECT_SECONDS = 2.0
CALL_SECONDS = 10.0
"""What a whole call may take. Meta recommends 1.5 s for one event; a thousand are a megabyte, which a slow line takes
seconds for, and whoever gives up early does not know whether Meta has them.
"""
# A load balancer of Meta's or on the way may drop what is idle for a minute; a lane that is busy calls every second.
KEPT, KEPT_SECONDS = 64, 30.0


@dataclass(frozen=True, slots=True)
class _Heard:
    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class MetaClient:
    """Calls Meta, from within one event loop. Connections are kept and shared by all pixels.

    There are as many connections as calls at once: were there a limit, the calls of a pixel that does not answer would
    have them all. Whoever calls says how many calls there are.
    """

    def __init__(self, base_url: str, *, seconds: float = CALL_SECONDS) -> None:
        self._seconds = seconds
        self._url = f"{base_url.rstrip('/')}/{VERSION}"
        self._http = httpx2.AsyncClient(
            # Answers are small, and nobody else decides how large they become.
            headers={"accept-encoding": "identity", "user-agent": "trilha"},
            timeout=httpx2.Timeout(seconds, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=KEPT, keepalive_expiry=KEPT_SECONDS
            ),
            trust_env=False,  # no proxy of the environment comes between, and none hears the token
            follow_redirects=False,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def events(
        self,
        pixel: str,
        credentials: Credentials,
        bodies: Sequence[bytes],
        *,
        test_code: str | None = None,
    ) -> Answer:
        """What Meta says to these events, each a JSON object. test_code: they show up under Test events in Events Manager."""
        extra = _proof(credentials) | ({} if test_code is None else {"test_event_code": test_code})
        heard = await self._asked("POST", f"{pixel}/events", credentials, body=_body(bodies, extra))
        if isinstance(heard, Refusal):
            return heard
        if heard.status == 200:
            return accepted(heard.body, heard.headers, len(bodies))
        return refusal(heard.status, heard.body, heard.headers)

    async def quality(self, pixel: str, credentials: Credentials) -> tuple[EventQuality, ...] | Refusal:
        """What Meta says of the quality of the pixel's events."""
        # A proof can be nothing but a parameter here. It is of no use to whoever has not the token.
        asked = {"dataset_id": pixel, "fields": FIELDS} | _proof(credentials)
        heard = await self._asked("GET", "dataset_quality", credentials, params=asked)
        if isinstance(heard, Refusal):
            return heard
        if heard.status == 200 and (found := read_quality(heard.body)) is not None:
            return found
        return refusal(heard.status, heard.body, heard.headers)

    async def _asked(
        self,
        method: str,
        path: str,
        credentials: Credentials,
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
    ) -> _Heard | Refusal:
        if not _fits_a_header(credentials.token):
            return _NO_TOKEN
        headers = {"authorization": f"Bearer {credentials.token}", "content-type": "application/json"}
        call = self._http.stream(method, f"{self._url}/{path}", headers=headers, content=body, params=params)
        try:
            async with asyncio.timeout(self._seconds), call as answer:
                return _Heard(answer.status_code, await _start_of(answer), answer.headers)
        except (TimeoutError, httpx2.TimeoutException):
            return _temporary("timeout", "Meta did not answer in time")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            # Its text may quote what was sent.
            return _temporary("connection", f"the connection to Meta failed: {type(error).__name__}")


_NO_TOKEN = Refusal(
    kind="configuration", code="token", reason="its access token cannot be sent: give the pixel another one"
)


def _fits_a_header(token: str) -> bool:
    """What is sealed was looked at before; what was put into SQL by another hand was not, and errors might quote it."""
    return token.isascii() and token.isprintable() and " " not in token


def _body(bodies: Sequence[bytes], extra: Mapping[str, str]) -> bytes:
    """The events are JSON already, and stay as they are."""
    rest = b"".join(b",%b:%b" % (_json(name), _json(value)) for name, value in extra.items())
    return b'{"data":[%b]%b}' % (b",".join(bodies), rest)


def _json(text: str) -> bytes:
    return json.dumps(text).encode()


def _proof(credentials: Credentials) -> dict[str, str]:
    """That we know the secret of the app that the token is of: HMAC-SHA-256 under it, over the token, in hexadecimal."""
    if credentials.app_secret is None:
        return {}
    proof = hmac.new(credentials.app_secret.encode(), credentials.token.encode(), "sha256")
    return {"appsecret_proof": proof.hexdigest()}


async def _start_of(answer: httpx2.Response) -> bytes:
    """The body, up to the length that is read of any answer; what is cut off is no JSON, and so no answer of Meta's."""
    body = b""
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) >= MAX_BODY:
            break
    return body[:MAX_BODY]


def _temporary(code: str, reason: str) -> Refusal:
    return Refusal(kind="temporary", code=code, reason=reason)
