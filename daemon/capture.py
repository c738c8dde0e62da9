"""Visit from an ASGI scope. Fields are cropped to stated lengths, never refused, and decoded once."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

from daemon.client_ip import ClientIp
from domain.ad_url import MAX_PARAMS, MAX_VALUE, is_ad_param
from domain.click import Ad, Visit
from privacy.pseudonymise import MAX_FBCLID

MAX_USER_AGENT = 1024
MAX_REFERER = 2048
MAX_LANGUAGE = 64
MAX_PREFETCH = 32
MAX_COOKIE = 600
COMMON_QUERY = 512
_XFF = b"x-forwarded-for"
_PREFETCH = frozenset({b"sec-purpose", b"purpose", b"x-moz", b"x-purpose", b"x-fb-http-engine"})


class Capture:
    """Reads what a click is made of from a request."""

    def __init__(self, client_ip: ClientIp) -> None:
        self._client_ip = client_ip

    def visit(self, scope: Mapping[str, Any], at_ms: int) -> Visit:
        """The visit. Whatever was sent, this returns one."""
        # The first of a repeated header stands. Only proxies repeat one that we look at.
        headers = dict(reversed(scope["headers"]))
        get = headers.get
        params, ad, fbclid = parse_query(scope["query_string"])
        cookie = get(b"cookie")
        peer = scope["client"]
        cookies = _cookies(cookie) if cookie is not None and b"_fb" in cookie else {}
        return Visit(
            method="HEAD" if scope["method"] == "HEAD" else "GET",
            at_ms=at_ms,
            ip=self._client_ip.of(
                peer[0] if peer else None, _forwarded(scope["headers"]) if _XFF in headers else ()
            ),
            user_agent=_text(get(b"user-agent", b""))[:MAX_USER_AGENT],
            fbclid=fbclid,
            fbc_cookie=cookies.get("_fbc", "")[:MAX_COOKIE],
            fbp_cookie=cookies.get("_fbp", "")[:MAX_COOKIE],
            referer=_text(get(b"referer", b""))[:MAX_REFERER],
            language=_text(get(b"accept-language", b""))[:MAX_LANGUAGE],
            prefetch="" if _PREFETCH.isdisjoint(headers) else _prefetch(get)[:MAX_PREFETCH],
            params=params,
            ad=ad,
            gpc=get(b"sec-gpc", b"") == b"1",
        )


def _forwarded(headers: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [value for name, value in headers if name == _XFF]


def parse_query(query: bytes) -> tuple[Mapping[str, str], Ad, str]:
    """The ad's parameters in their order, the ad they name, and the fbclid. The first of a repeated name stands.

    A second `?` before a parameter of ours separates like `&`: ad URLs are pasted with one into links that have one.
    """
    text = query.decode("latin-1")
    fbclid = ""
    others = []
    for part in _parts(text) if "?" in text else text.split("&"):
        if part.startswith("fbclid="):
            fbclid = fbclid or _decoded(part[7:])[:MAX_FBCLID]
        else:
            others.append(part)
    query_of_ad = "&".join(others)
    params, ad = _common_ad(query_of_ad) if len(query_of_ad) <= COMMON_QUERY else _ad(query_of_ad)
    return params, ad, fbclid


def _ad(query: str) -> tuple[Mapping[str, str], Ad]:
    """The ad's parameters, never changed afterwards, and the ad; of a query without its fbclid."""
    params: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        name = _decoded(name).lower()
        if is_ad_param(name) and name not in params and len(params) < MAX_PARAMS:
            params[name] = _decoded(value)[:MAX_VALUE]
    return params, Ad.of(params)


# All clicks of an ad share the query that its advertiser wrote. Bounded, and no text in it is long: strangers choose them.
_common_ad = lru_cache(maxsize=2048)(_ad)


def _parts(query: str) -> list[str]:
    parts = []
    for part in query.split("&"):
        head, mark, tail = part.partition("?")
        while mark:
            if _is_ours(tail.partition("=")[0]):
                parts.append(head)
                head = ""
            else:
                head += mark
            next_head, mark, tail = tail.partition("?")
            head += next_head
        parts.append(head)
    return parts


def _is_ours(name: str) -> bool:
    return name == "fbclid" or is_ad_param(_decoded(name).lower())


def _decoded(text: str) -> str:
    """Percent-decoded once, as UTF-8 where it is that, else as Latin-1; NUL, which PostgreSQL cannot hold, replaced."""
    if "%" not in text and "+" not in text and text.isascii():
        return text.replace("\0", "\ufffd")
    return _text(unquote_plus(text, encoding="latin-1").encode("latin-1")).replace("\0", "\ufffd")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _cookies(header: bytes) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in _text(header).split(";"))
    return {name.strip(): value.strip() for name, _, value in reversed([*pairs])}


def _prefetch(header: Callable[[bytes, bytes], bytes]) -> str:
    """Which sign of a prefetch came with the request, as `header=value`; empty without one."""
    for name in (b"sec-purpose", b"purpose", b"x-moz", b"x-purpose"):
        value = header(name, b"").lower()
        if value.startswith((b"prefetch", b"preview", b"instant")):
            return _text(name + b"=" + value)
    return "x-fb-http-engine=liger" if header(b"x-fb-http-engine", b"").lower() == b"liger" else ""
