"""How rollups cut time: the operator's hours and days, and how long a start took."""

from bisect import bisect_left
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
WAIT_SECONDS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400, 604_800)
"""Upper ends (included) of the bins of how long a start took after its click, in seconds; the last bin has none."""


def hour_of(at_ms: int, zone: ZoneInfo) -> int:
    """The beginning of the local hour, in minutes since the epoch."""
    local = datetime.fromtimestamp(at_ms / 1000, zone)
    return at_ms // MINUTE_MS - local.minute


def hour_ms(hour: int) -> int:
    """The moment at which that hour began, UTC milliseconds."""
    return hour * MINUTE_MS


def day_of(at_ms: int, zone: ZoneInfo) -> int:
    """The local day, as YYYYMMDD."""
    return day_number(datetime.fromtimestamp(at_ms / 1000, zone).date())


def day_number(day: date) -> int:
    """A date as YYYYMMDD."""
    return day.year * 10_000 + day.month * 100 + day.day


def date_of(day: int) -> date:
    """The date of YYYYMMDD."""
    return date(day // 10_000, day // 100 % 100, day % 100)


def day_begins_ms(day: date, zone: ZoneInfo) -> int:
    """The first moment of the local day, UTC milliseconds; where midnight does not exist, the one after it."""
    begin = datetime(day.year, day.month, day.day, tzinfo=zone)
    return int(begin.timestamp()) * 1000


def day_ends_ms(day: date, zone: ZoneInfo) -> int:
    """The first moment of the next local day, UTC milliseconds."""
    return day_begins_ms(day + timedelta(days=1), zone)


def wait_bin(wait_ms: int) -> str:
    """The bin of that wait, "00" to "16": the first whose end is not before it. A start before its click waited 0."""
    return f"{bisect_left(WAIT_SECONDS, max(wait_ms, 0) / 1000):02}"
