"""Visit becomes Click: the raw address ends here."""

from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_pton
from urllib.parse import urlsplit
from uuid import UUID

from domain.click import Click, Visit
from privacy.keyring import PERIOD_MS, Keyring
from privacy.seal import Original, Sealer

VISITOR_KEY_BYTES = 16
FBCLID_KEY_BYTES = 16
MAX_FBCLID = 512
COMMON_REFERER = 256
_IPV6_NETWORK_BYTES = 8
_MAPPED = b"\0" * 10 + b"\xff\xff"


class Pseudonymiser:
    """Builds what may be kept of a visit."""

    def __init__(self, keyring: Keyring, sealer: Sealer) -> None:
        self._keyring = keyring
        self._sealer = sealer

    def click(self, visit: Visit, *, click_id: UUID, link_id: int, node: int, ad_key: bytes) -> Click:
        """The click of a visit: keyed pseudonyms in the open, the original sealed under the key of its day."""
        period = visit.at_ms // PERIOD_MS
        visitor = self.visitor_key(visit.ip, period)
        return Click(
            id=click_id,
            link_id=link_id,
            node=node,
            ad_key=ad_key,
            method=visit.method,
            params=visit.params,
            referer_host=_common_host(visit.referer)
            if len(visit.referer) <= COMMON_REFERER
            else _host(visit.referer),
            language=visit.language,
            prefetch=visit.prefetch,
            visitor_key=visitor,
            visitor_period=None if visitor is None else period,
            fbclid_key=self.fbclid_key(visit.fbclid),
            sealed=self._sealer.seal(_original(visit), click_id, period),
            gpc=visit.gpc,
        )

    def visitor_key(self, ip: str | None, period: int) -> bytes | None:
        """16 bytes of HMAC-SHA-256 over the address (IPv6: its /64) under the key of that day; None without either."""
        keys = self._keyring.period_keys(period)
        if ip is None or keys is None:
            return None
        network = _ipv6_network(ip) if ":" in ip else inet_pton(AF_INET, ip)
        return self._keyring.mac(keys.visitor).of(network)[:VISITOR_KEY_BYTES]

    def fbclid_key(self, fbclid: str) -> bytes | None:
        """16 bytes of HMAC-SHA-256 over the whole fbclid under the lasting look-up key; None without one."""
        if not fbclid:
            return None
        return self._keyring.mac(self._keyring.lookup_key()).of(fbclid.encode())[:FBCLID_KEY_BYTES]


def fbc(fbclid: str, cookie: str, at_ms: int) -> str:
    """Meta's click id parameter: `fb.1.<ms of the click>.<fbclid>`, made once and never rebuilt.

    The visitor's own `_fbc` cookie wins when it carries the same fbclid, or when the click has none. An fbclid that
    was cropped, or holds characters Meta does not use, gives no fbc rather than a false one.
    """
    if cookie.startswith("fb.") and (not fbclid or cookie.endswith("." + fbclid)):
        return cookie
    if not fbclid or len(fbclid) >= MAX_FBCLID:
        return ""
    if fbclid.startswith("fb."):
        return fbclid
    plain = fbclid.isascii() and fbclid.replace("-", "").replace("_", "").isalnum()
    return f"fb.1.{at_ms}.{fbclid}" if plain else ""


def _original(visit: Visit) -> Original:
    return Original(
        ip=visit.ip or "",
        user_agent=visit.user_agent,
        fbclid=visit.fbclid,
        fbc=fbc(visit.fbclid, visit.fbc_cookie, visit.at_ms),
        fbp=visit.fbp_cookie,
        referer=visit.referer,
    )


def _ipv6_network(ip: str) -> bytes:
    """The /64, or the IPv4 address that is written as IPv6."""
    address = inet_pton(AF_INET6, ip)
    return address[12:] if address[:12] == _MAPPED else address[:_IPV6_NETWORK_BYTES]


def _host(referer: str) -> str:
    if not referer:
        return ""
    try:
        return (urlsplit(referer).hostname or "")[:255]
    except ValueError:
        return ""


# Nearly every click comes from one of Meta's few pages. Bounded, and no text in it is long: strangers choose them.
_common_host = lru_cache(maxsize=1024)(_host)
