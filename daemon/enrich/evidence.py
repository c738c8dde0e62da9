"""What a score may know of one click."""

from dataclasses import dataclass

from domain.enrichment import Automation, TrafficClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One click as a score sees it: no address, no user agent, no fbclid, no token, no person.

    Whatever has a default may be unknown, and its default says so; nothing unknown counts against a click in
    Trilha's own scores. `local_hour` is 0 to 23 in the operator's time zone.
    """

    clicked_at_ms: int
    """UTC milliseconds since the epoch."""
    local_hour: int
    has_fbclid: bool
    traffic: TrafficClass = "unknown"
    automation: Automation | None = None
    """What kind of program the user agent says it is."""
    in_app: bool = False
    """The user agent names an app's own browser."""
    user_agent_given: bool | None = None
    hosting: bool = False
    """The address is known to belong to a hosting network."""
    country: str | None = None
    """ISO 3166-1 alpha-2."""
    started: bool | None = None
    """Whether anybody redeemed the token; None while that may still come."""
    click_to_start_s: float | None = None
    """Seconds from the click to its first start. Below zero where two machines' clocks disagree."""
    repeats: int = 0
    """Clicks of its visitor key on its link in the same minute, as far as settled, itself included."""
    token_users: int = 0
    """Distinct people who pressed START with its token."""
    fbclid_visitors: int = 0
    """Distinct visitor keys that came with its fbclid, its own included."""
    visitor_users: int = 0
    """Distinct people with its visitor key who started in the minute before."""
