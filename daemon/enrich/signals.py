"""The signals of Trilha's own two scores, as data: a name, a weight in points, and when it applies.

*Invariant:* no signal reads `country`, `local_hour` or `has_fbclid`. Being abroad, being awake or having come
without an ad is nobody's fault (docs/adr/0014). What each weight stands for is in docs/reference/scores.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

from daemon.enrich.evidence import Evidence

INSTANT_S = 0.8
"""Seconds. A tap, an app that opens and a second tap take a person longer; trackers flag the same (Voluum)."""
FAST_S = 2.0
"""Seconds. Possible for a person, seldom."""
BURST = 60
"""Clicks of one visitor key on one link in a minute. Carrier NAT puts hundreds of phones behind one address."""
HOSTING_BURST = 10
"""The same where the address belongs to a hosting network: no carrier's NAT stands there."""
SOME_USERS, MANY_USERS = 3, 6
"""People on one token: a link passed on to friends has a few, a ring has many."""
SOME_VISITORS, MANY_VISITORS = 8, 25
"""Visitor keys on one fbclid: a phone has several in a week, a link passed on has more, a replay has many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One thing that counts. `applies` says what was seen, in words that name nobody, or None."""

    name: str
    weight: int
    applies: Callable[[Evidence], str | None]


def _program(seen: Evidence) -> str | None:
    return f"user agent of a {seen.automation}" if seen.automation else None


def _no_user_agent(seen: Evidence) -> str | None:
    return "no user agent" if seen.user_agent_given is False else None


def _unredeemed(seen: Evidence) -> str | None:
    tentative = seen.traffic in {"prefetch", "head"}
    return f"{seen.traffic} that nobody redeemed" if tentative and seen.started is False else None


def _in_app_from_hosting(seen: Evidence) -> str | None:
    return "an app's browser in a hosting network" if seen.in_app and seen.hosting else None


def _hosting(seen: Evidence) -> str | None:
    return "address of a hosting network" if seen.hosting and not seen.in_app else None


def _burst(seen: Evidence) -> str | None:
    most = seen.repeats > BURST and not seen.hosting
    return f"{seen.repeats} clicks of one visitor key in a minute" if most else None


def _hosting_burst(seen: Evidence) -> str | None:
    most = seen.repeats > HOSTING_BURST and seen.hosting
    return f"{seen.repeats} clicks of one hosting address in a minute" if most else None


def _started_within(seen: Evidence, low: float, high: float) -> str | None:
    seconds = seen.click_to_start_s
    if seconds is None or not low <= seconds < high:
        return None
    return f"started {int(seconds * 10) / 10} s after the click"  # rounded down, so that 0.79 is not 0.8


def _instant(seen: Evidence) -> str | None:
    return _started_within(seen, 0, INSTANT_S)


def _fast(seen: Evidence) -> str | None:
    return _started_within(seen, INSTANT_S, FAST_S)


def _some_users(seen: Evidence) -> str | None:
    return f"{seen.token_users} people on one token" if SOME_USERS <= seen.token_users < MANY_USERS else None


def _many_users(seen: Evidence) -> str | None:
    return f"{seen.token_users} people on one token" if seen.token_users >= MANY_USERS else None


def _some_visitors(seen: Evidence) -> str | None:
    some = SOME_VISITORS <= seen.fbclid_visitors < MANY_VISITORS
    return f"one fbclid from {seen.fbclid_visitors} visitor keys" if some else None


def _many_visitors(seen: Evidence) -> str | None:
    many = seen.fbclid_visitors >= MANY_VISITORS
    return f"one fbclid from {seen.fbclid_visitors} visitor keys" if many else None


BOT_SIGNALS = (
    Signal(name="says_program", weight=80, applies=_program),
    Signal(name="no_user_agent", weight=50, applies=_no_user_agent),
    Signal(name="unredeemed_prefetch", weight=50, applies=_unredeemed),
    Signal(name="instant_start", weight=60, applies=_instant),
    Signal(name="fast_start", weight=30, applies=_fast),
    Signal(name="in_app_from_hosting", weight=40, applies=_in_app_from_hosting),
    Signal(name="hosting", weight=25, applies=_hosting),
    Signal(name="burst", weight=30, applies=_burst),
    Signal(name="hosting_burst", weight=30, applies=_hosting_burst),
)
FRAUD_SIGNALS = (
    Signal(name="token_of_many", weight=60, applies=_many_users),
    Signal(name="token_of_some", weight=20, applies=_some_users),
    Signal(name="fbclid_of_many", weight=60, applies=_many_visitors),
    Signal(name="fbclid_of_some", weight=25, applies=_some_visitors),
    Signal(name="instant_start", weight=50, applies=_instant),
    Signal(name="fast_start", weight=20, applies=_fast),
    Signal(name="in_app_from_hosting", weight=35, applies=_in_app_from_hosting),
    Signal(name="burst", weight=25, applies=_burst),
    Signal(name="hosting_burst", weight=25, applies=_hosting_burst),
)
