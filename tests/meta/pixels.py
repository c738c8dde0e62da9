"""Pixels, and the tokens that open them. Meta's answers say no more of a token than that it is not good."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.meta.refusals import EXPIRED, NO_OBJECT, Refusal, Refused
from tests.meta.wire import Request

_BEARER = "bearer "
_PROOF_MISSING = "API calls from the server require an appsecret_proof argument"
_PROOF_WRONG = "Invalid appsecret_proof provided in the API argument"


@dataclass(slots=True, kw_only=True)
class Pixel:
    """A dataset of somebody's. `app_secret` is None unless their app demands the proof."""

    id: str
    token: str
    app_secret: str | None


class Pixels:
    """All there are. `leak` is told what came in the URL, where servers on the way write it down."""

    def __init__(self, leak: Callable[[str], None]) -> None:
        self._leak = leak
        self._pixels: dict[str, Pixel] = {}
        self._revoked: set[str] = set()

    def add(self, number: str, token: str, app_secret: str | None = None) -> None:
        """A pixel, or another token or secret for it."""
        self._pixels[number] = Pixel(id=number, token=token, app_secret=app_secret)

    def revoke(self, token: str) -> None:
        """190/463 from now on."""
        self._revoked.add(token)

    def renew(self, number: str, token: str) -> None:
        """Another token opens the pixel. The old one is as if revoked."""
        self._revoked.add(self._pixels[number].token)
        self._revoked.discard(token)
        self._pixels[number].token = token

    def token_of(self, number: str) -> str:
        """The one that opens it."""
        return self._pixels[number].token

    def check(self, number: str, request: Request, body: dict[str, Any]) -> None:
        """Whether the caller may use the pixel. Raises Refused."""
        token = self._token(request, body)
        if token in self._revoked:
            raise Refused(_token_refused("Error validating access token: Session has expired", 400, EXPIRED))
        if not any(
            hmac.compare_digest(token.encode(), pixel.token.encode()) for pixel in self._pixels.values()
        ):
            raise Refused(_token_refused("Invalid OAuth access token - Cannot parse access token", 401, None))
        pixel = self._pixels.get(number)
        if pixel is None or pixel.token != token:
            raise Refused(_no_object(number))
        if pixel.app_secret is not None:
            _check_proof(
                pixel.app_secret, token, body.get("appsecret_proof") or request.query.get("appsecret_proof")
            )

    def _token(self, request: Request, body: dict[str, Any]) -> str:
        if "access_token" in request.query:
            self._leak("access_token in the URL")
        header = request.headers.get("authorization", "")
        bearer = header[len(_BEARER) :] if header.lower().startswith(_BEARER) else None
        token = bearer or body.get("access_token") or request.query.get("access_token")
        if not isinstance(token, str) or not token:
            raise Refused(Refusal(code=104, message="An access token is required to request this resource."))
        return token


def _token_refused(says: str, status: int, subcode: int | None) -> Refusal:
    return Refusal(code=190, subcode=subcode, message=says, status=status, transient=None)


def _no_object(number: str) -> Refusal:
    says = f"Unsupported post request. Object with ID '{number}' does not exist, cannot be loaded due to missing permissions"
    return Refusal(code=100, subcode=NO_OBJECT, message=says, kind="GraphMethodException", transient=None)


def _check_proof(secret: str, token: str, proof: Any) -> None:
    """Meta answers a bare 100 without a subcode here, although no event is at fault: it is to be told by its message."""
    expected = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    if proof is None:
        raise Refused(Refusal(code=100, message=_PROOF_MISSING, kind="GraphMethodException", transient=None))
    if not isinstance(proof, str) or not hmac.compare_digest(proof.encode(), expected.encode()):
        raise Refused(Refusal(code=100, message=_PROOF_WRONG, kind="GraphMethodException", transient=None))
