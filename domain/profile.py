"""The profile of a Telegram user: what their clicks say together. Computed from the rows when it is read, never stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from domain.enrichment import Device, Enrichment

_MOBILE = ("phone", "tablet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """One click of theirs: when it was, UTC milliseconds, when they pressed START, and what was added to it."""

    link_id: int
    clicked_at_ms: int
    started_at_ms: int | None
    enrichment: Enrichment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Of the newest click that has one; `state` is the UF in Brazil."""

    city: str | None = None
    state: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """Of the newest click whose user agent was read. `is_mobile` None: not known."""

    type: Device = "unknown"
    os: str | None = None
    browser: str | None = None
    is_mobile: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Of the newest click: seconds until START, and the hour (0-23) and weekday (1 Monday to 7 Sunday) at the operator's."""

    click_to_start_seconds: float | None = None
    hour: int | None = None
    weekday: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The highest scores of all their clicks, 0-100; None: not scored."""

    bot_score: int | None = None
    fraud_score: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All of it. `first` and `last` are the oldest and the newest click; None without any."""

    clicks: int
    first: Touch | None
    last: Touch | None
    location: Location
    device: DeviceProfile
    behaviour: Behaviour
    quality: Quality


def profile_of(touches: Sequence[Touch], *, zone: tzinfo) -> Profile:
    """The profile of one person's touches, in any order."""
    ordered = sorted(touches, key=lambda touch: touch.clicked_at_ms)
    added = [touch.enrichment for touch in reversed(ordered) if touch.enrichment is not None]
    last = ordered[-1] if ordered else None
    return Profile(
        clicks=len(ordered),
        first=ordered[0] if ordered else None,
        last=last,
        location=_location(added),
        device=_device(added),
        behaviour=_behaviour(last, zone),
        quality=_quality(added),
    )


def _location(newest_first: Sequence[Enrichment]) -> Location:
    for geo, *_ in newest_first:
        if geo.country is not None:
            return Location(city=geo.city, state=geo.region, country=geo.country)
    return Location()


def _device(newest_first: Sequence[Enrichment]) -> DeviceProfile:
    for _, agent, *_ in newest_first:
        if agent.device != "unknown":
            is_mobile = agent.device in _MOBILE
            return DeviceProfile(type=agent.device, os=agent.os, browser=agent.browser, is_mobile=is_mobile)
    return DeviceProfile()


def _behaviour(last: Touch | None, zone: tzinfo) -> Behaviour:
    if last is None:
        return Behaviour()
    at = datetime.fromtimestamp(last.clicked_at_ms / 1000, zone)
    waited = None if last.started_at_ms is None else (last.started_at_ms - last.clicked_at_ms) / 1000
    return Behaviour(click_to_start_seconds=waited, hour=at.hour, weekday=at.isoweekday())


def _quality(added: Sequence[Enrichment]) -> Quality:
    if not added:
        return Quality()
    return Quality(
        bot_score=max(item.scores.bot.points for item in added),
        fraud_score=max(item.scores.fraud.points for item in added),
    )
