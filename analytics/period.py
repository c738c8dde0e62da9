"""Period: whole local days, which every report and page is about."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from domain.errors import ConfigError
from domain.rollups import day_begins_ms, day_number

DAY = timedelta(days=1)
MAX_DAYS = 3660
_SPAN = re.compile(r"([1-9][0-9]{0,3})d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Local days from `first` to `last`, both included, in the operator's time zone."""

    first: date
    last: date
    zone: ZoneInfo

    @classmethod
    def of(cls, words: str, now_ms: int, zone: ZoneInfo) -> "Period":
        """`today`, `yesterday`, or so many days up to today: `7d`. ConfigError for anything else."""
        today = local_date(now_ms, zone)
        if words == "today":
            return cls(first=today, last=today, zone=zone)
        if words == "yesterday":
            return cls(first=today - DAY, last=today - DAY, zone=zone)
        found = _SPAN.fullmatch(words)
        if not found or int(found[1]) > MAX_DAYS:
            raise ConfigError(
                f"not a period: {words!r}. Write today, yesterday, or a number of days such as 30d"
            )
        return cls(first=today - (int(found[1]) - 1) * DAY, last=today, zone=zone)

    @classmethod
    def between(cls, first: str, last: str, zone: ZoneInfo) -> "Period":
        """From and to dates as YYYY-MM-DD, both included. ConfigError when they are none, or the wrong way round."""
        begin, end = _date(first), _date(last)
        if end < begin or (end - begin).days >= MAX_DAYS:
            raise ConfigError(
                f"not a period: {first} to {last}. Give the earlier date first, at most {MAX_DAYS} days"
            )
        return cls(first=begin, last=end, zone=zone)

    @property
    def first_day(self) -> int:
        """The first day, as rollups write it (YYYYMMDD)."""
        return day_number(self.first)

    @property
    def last_day(self) -> int:
        """The last day, likewise."""
        return day_number(self.last)

    @property
    def days(self) -> list[date]:
        """Every day of it."""
        return [self.first + n * DAY for n in range((self.last - self.first).days + 1)]

    @property
    def since_ms(self) -> int:
        """Its first moment, UTC milliseconds."""
        return day_begins_ms(self.first, self.zone)

    @property
    def until_ms(self) -> int:
        """The first moment after it, UTC milliseconds."""
        return day_begins_ms(self.last + DAY, self.zone)

    def before(self, days: int | None = None) -> "Period":
        """As many days earlier, by default its own length: what it is compared with."""
        back = timedelta(days=days or len(self.days))
        return Period(first=self.first - back, last=self.last - back, zone=self.zone)


def local_date(at_ms: int, zone: ZoneInfo) -> date:
    """The operator's date at that moment."""
    return datetime.fromtimestamp(at_ms / 1000, zone).date()


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"not a date: {text!r}. Write it as YYYY-MM-DD") from None
