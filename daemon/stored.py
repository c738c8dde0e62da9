"""What a row looks like as it is stored, what may still be opened and until when, and what an incident notice needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, Literal

from backends.sql.subject import PERIOD_BYTES, Extent
from privacy.keyring import PERIOD_MS

Kind = Literal["identifier", "pseudonym", "sealed", "personal", "open", "derived", "bookkeeping"]
SHOWN_BYTES = 8
NOTICE_BUSINESS_DAYS = 3
"""Resolução CD/ANPD 15/2024, art. 6: three business days from when the controller knows."""

KINDS: dict[str, Kind] = {
    **dict.fromkeys(("owner_telegram_id", "owner_bot_id"), "personal"),
    **dict.fromkeys(("id", "link_id", "node", "ad_key"), "identifier"),
    **dict.fromkeys(("visitor_key", "fbclid_key"), "pseudonym"),
    **dict.fromkeys(("sealed",), "sealed"),
    **dict.fromkeys(
        ("clicked_at", "started_at", "method", "params", "referer_host", "language", "prefetch", "gpc"),
        "open",
    ),
    **dict.fromkeys(("spooled", "erased_at", "scored_at", "visitor_period", "geo_source"), "bookkeeping"),
    **dict.fromkeys(
        ("country", "region", "city", "asn", "device", "os", "os_version", "browser", "browser_version"),
        "derived",
    ),
    **dict.fromkeys(("app", "automation", "robot", "traffic_class", "tentative", "evidence"), "derived"),
    **dict.fromkeys(
        ("repeats", "bot_score", "fraud_score", "reasons", "baseline_bot", "baseline_fraud"), "derived"
    ),
}
"""Every column of `clicks`, and what kind of data it is. A test holds it complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One column of a row as it is stored: bytes as the first of them in hex."""

    column: str
    kind: Kind
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodKey:
    """The key of one UTC day: whether it is in the ring, when it is to be destroyed, and how many clicks it opens."""

    period: int
    day: str
    exists: bool
    due_ms: int
    clicks: int


def cells(row: Mapping[str, Any], *, periods: Iterable[int], sealed_days: int, zone: tzinfo) -> list[Cell]:
    """The row, column by column."""
    known = frozenset(periods)
    return [
        Cell(column=name, kind=KINDS[name], value=_shown(name, value, known, sealed_days, zone))
        for name, value in row.items()
    ]


def period_keys(periods: Iterable[int], sealed: Mapping[int, int], *, sealed_days: int) -> list[PeriodKey]:
    """Every day that has a key or a sealed original, oldest first."""
    existing = frozenset(periods)
    return [
        PeriodKey(
            period=period,
            day=day_of(period),
            exists=period in existing,
            due_ms=due_ms(period, sealed_days),
            clicks=sealed.get(period, 0),
        )
        for period in sorted(existing | sealed.keys())
    ]


def due_ms(period: int, sealed_days: int) -> int:
    """When the key of that UTC day is to be destroyed: so many days after the day's end."""
    return (period + 1 + sealed_days) * PERIOD_MS


def day_of(period: int) -> str:
    """The UTC day of a period, ISO 8601."""
    return (datetime(1970, 1, 1) + timedelta(days=period)).date().isoformat()  # noqa: DTZ001  a day, not a moment


def notice_due(known_ms: int, zone: tzinfo) -> str:
    """The last day for the notice when the incident became known at that moment. Monday to Friday; holidays are not known."""
    day, left = datetime.fromtimestamp(known_ms / 1000, zone).date(), NOTICE_BUSINESS_DAYS
    while left:
        day += timedelta(days=1)
        left -= day.isoweekday() <= 5
    return day.isoformat()


def categories(extent: Extent) -> list[dict[str, Any]]:
    """Categories of personal data in a stretch of time, with how many clicks or people have them."""
    sealed = sum(extent.sealed.values())
    return [
        {"category": "Telegram id", "form": "open", "count": extent.people},
        {"category": "IP address, user agent, full referer", "form": "sealed", "count": sealed},
        {"category": "pseudonym of the visitor (a day)", "form": "pseudonym", "count": extent.visitors},
        {"category": "Meta click id", "form": "pseudonym and sealed", "count": extent.with_fbclid},
        {"category": "ad parameters, language, referring site", "form": "open", "count": extent.with_params},
        {"category": "approximate location", "form": "open", "count": extent.located},
        {"category": "device and browser", "form": "open", "count": extent.with_agent},
    ]


def _shown(name: str, value: Any, periods: frozenset[int], sealed_days: int, zone: tzinfo) -> str | None:
    if value is None:
        return None
    if name == "sealed":
        return _sealed(value, periods, sealed_days, zone)
    if isinstance(value, bytes):
        return f"{value[:SHOWN_BYTES].hex()}… ({len(value)} bytes)"
    if name.endswith("_at"):
        return datetime.fromtimestamp(value / 1000, zone).isoformat(timespec="seconds")
    return str(value)


def _sealed(blob: bytes, periods: frozenset[int], sealed_days: int, zone: tzinfo) -> str:
    period = int.from_bytes(blob[PERIOD_BYTES], "big")
    until = datetime.fromtimestamp(due_ms(period, sealed_days) / 1000, zone).isoformat(timespec="minutes")
    state = f"readable until {until}" if period in periods else "its key is gone: unreadable for good"
    return f"{blob[:SHOWN_BYTES].hex()}… ({len(blob)} bytes, key of {day_of(period)}, {state})"
