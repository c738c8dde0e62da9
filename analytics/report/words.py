"""Figures as people read them. Every renderer writes them in the same way."""

from collections.abc import Iterable

from analytics.period import Period
from analytics.shares import Share
from domain.click import Ad
from domain.conversions import MICROS, UNATTRIBUTED, Money

NOTHING = "-"
NOWHERE = "nowhere"


def count(number: int) -> str:
    """With commas between thousands."""
    return f"{number:,}"


def share(value: float | None) -> str:
    """In per cent, with a tenth."""
    return NOTHING if value is None else f"{value * 100:.1f} %"


def interval(value: Share) -> str:
    """The interval alone."""
    return (
        NOTHING
        if value.low is None or value.high is None
        else f"{value.low * 100:.1f} - {value.high * 100:.1f} %"
    )


def with_interval(value: Share) -> str:
    """The share with its interval, unless the whole is nothing."""
    return NOTHING if value.share is None else f"{share(value.share)} ({interval(value)})"


def seconds(value: float | None) -> str:
    """A duration in its own unit."""
    if value is None:
        return NOTHING
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.1f} s"


def money(value: Money) -> str:
    """An amount with two digits, and its currency."""
    return f"{value.micros / MICROS:,.2f} {value.currency}"


def amounts(values: Iterable[Money]) -> str:
    """Amounts of several currencies, side by side and never summed."""
    return " + ".join(map(money, values)) or NOTHING


def destination(lane: str) -> str:
    """A lane in a text."""
    return NOWHERE if lane == UNATTRIBUTED else lane


def ad_name(ad: Ad | None, ad_key: bytes) -> str:
    """What an ad is called: its content, medium and campaign, the narrowest first; else its key."""
    if ad is None:
        return f"unknown ad {ad_key.hex()}" if ad_key else "no ad known"
    return " / ".join(part for part in (ad.content, ad.medium, ad.campaign) if part) or "no campaign names"


def span(period: Period) -> str:
    """The days of a period and the zone that they are of."""
    zone = period.zone.key
    if period.first == period.last:
        return f"{period.first} ({zone})"
    return f"{period.first} to {period.last} ({zone}), {len(period.days)} days"
