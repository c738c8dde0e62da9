"""Cookies: the session's, the sign-in form's, what was done, the language."""

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

Kind = Literal["session", "form", "done", "language"]
DONE_SECONDS = 30
FORM_SECONDS = 3600
SESSION_SECONDS = 7 * 86_400
LANGUAGE_SECONDS = 400 * 86_400


def name_of(kind: Kind, *, https: bool) -> str:
    """Over TLS a name that browsers take from this host alone, with Secure and for all its paths (RFC 6265bis)."""
    return f"__Host-trilha-{kind}" if https else f"trilha_{kind}"


def is_https(request: Request) -> bool:
    """True when the browser's connection is TLS, as the guard has found (guard.py)."""
    return bool(request.scope["scheme"] == "https")


def get_cookie(request: Request, kind: Kind) -> str:
    """Its value; empty without one."""
    return request.cookies.get(name_of(kind, https=is_https(request)), "")


def put_cookie(request: Request, response: Response, kind: Kind, value: str, seconds: int) -> None:
    """Set it for so long: HttpOnly, SameSite=Lax, Secure over TLS."""
    https = is_https(request)
    response.set_cookie(
        name_of(kind, https=https),
        value,
        max_age=seconds,
        path="/",
        secure=https,
        httponly=True,
        samesite="lax",
    )


def drop_cookie(request: Request, response: Response, kind: Kind) -> None:
    """Make the browser forget it."""
    put_cookie(request, response, kind, "", 0)
