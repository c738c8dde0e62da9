"""Visit and Click: the request as it came, and what may be kept of it.

Both are made once for every request, so they are msgspec Structs: frozen like the other values, a tenth of their price.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple
from uuid import UUID

from msgspec import Struct, field

from domain.ids import uuid7_ms

Method = Literal["GET", "HEAD"]


class Visit(Struct, frozen=True, kw_only=True):
    """One request as it came, raw address included. Lives in memory, in `daemon/` only; never stored, never logged."""

    method: Method
    at_ms: int
    ip: str | None
    user_agent: str
    fbclid: str
    fbc_cookie: str
    fbp_cookie: str
    referer: str
    language: str
    prefetch: str
    params: Mapping[str, str]
    ad: "Ad"
    gpc: bool = False

    def __repr__(self) -> str:
        """Names nothing personal, so that a traceback or a log line cannot leak the visitor."""
        return f"Visit(at_ms={self.at_ms})"


class Click(Struct, frozen=True, kw_only=True, tag="c", array_like=True):
    """What is kept of a visit. The raw address, agent and Meta identifiers exist only inside `sealed`.

    Its fields in their order are what `backends.codec` writes: new ones go to the end, with a default.
    `params` holds the ad's own parameters (utm_*, src, sck …) as they were sent, in their order.
    `gpc`: the visitor's browser asked for no sale and no sharing of their data (`Sec-GPC: 1`).
    `visitor_key` is keyed by the period `visitor_period` (UTC days since the epoch) and means nothing outside it.
    """

    id: UUID
    link_id: int
    node: int
    ad_key: bytes
    method: Method = "GET"
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    referer_host: str = ""
    language: str = ""
    prefetch: str = ""
    visitor_key: bytes | None = None
    visitor_period: int | None = None
    fbclid_key: bytes | None = None
    sealed: bytes | None = None
    gpc: bool = False

    @property
    def at_ms(self) -> int:
        """When the visitor clicked, UTC milliseconds: carried by the id itself, so the two cannot differ."""
        return uuid7_ms(self.id)

    @property
    def ad(self) -> "Ad":
        """The ad that the parameters name."""
        return Ad.of(self.params)


class Tombstone(NamedTuple):
    """Lies where a click lay that was erased before it was settled: it is settled instead, and the click stays counted."""

    click_id: UUID


class Ad(NamedTuple):
    """The five names Meta's macros fill in; a link's dictionary maps their digest (the ad key) back to them."""

    source: str = ""
    campaign: str = ""
    medium: str = ""
    content: str = ""
    term: str = ""

    @classmethod
    def of(cls, params: Mapping[str, str]) -> "Ad":
        """The ad named by a click's utm_* parameters."""
        get = params.get
        return cls(
            get("utm_source", ""),
            get("utm_campaign", ""),
            get("utm_medium", ""),
            get("utm_content", ""),
            get("utm_term", ""),
        )
