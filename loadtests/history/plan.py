"""What history is wanted, and how its clicks lie in time."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/Sao_Paulo")
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
# Shares of a day's clicks by the hour in Sao Paulo: a low at four, lunch, and the evening on the sofa.
HOURS = (26, 16, 10, 7, 6, 9, 16, 25, 34, 41, 46, 52, 60, 57, 50, 49, 51, 55, 63, 72, 80, 82, 70, 47)
WEEKDAYS = (1.0, 1.03, 1.04, 1.02, 0.97, 0.76, 0.82)
GROWTH = 0.8  # the last day has so much more than the first
PAYDAYS, PAYDAY = (5, 6, 7), 1.18


class CannotWrite(Exception):
    """The history cannot be written there, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """clicks: in SQL when it is whole. until_ms: its last moment, UTC milliseconds; nothing in it is later."""

    clicks: int
    days: int
    links: int
    ads: int
    seed: int
    until_ms: int

    def __post_init__(self) -> None:
        if self.ads < self.links:
            raise ValueError("a link needs an ad: --ads must not be less than --links")

    @property
    def since_ms(self) -> int:
        """Its first moment."""
        return self.until_ms - self.days * DAY_MS

    def text(self) -> str:
        """As it is kept in the database, so that it can be gone on with."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of(cls, text: str) -> History:
        """From `text`."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of an hour or a whole one: milliseconds from `begin` to before `end`, with so many clicks."""

    number: int
    day: int
    begin: int
    end: int
    clicks: int


def slices(history: History) -> list[Slice]:
    """All of a history, in the order of time. Their clicks are exactly the history's."""
    cuts = [history.since_ms]
    while cuts[-1] < history.until_ms:
        cuts.append(min(history.until_ms, (cuts[-1] // HOUR_MS + 1) * HOUR_MS))
    spans = list(pairwise(cuts))
    sums = list(accumulate(_weight(history, begin) * (end - begin) for begin, end in spans))
    totals = [0, *(round(history.clicks * part / sums[-1]) for part in sums)]
    return [
        Slice(
            number=number,
            day=(begin - history.since_ms) // DAY_MS,
            begin=begin,
            end=end,
            clicks=totals[number + 1] - totals[number],
        )
        for number, (begin, end) in enumerate(spans)
    ]


def _weight(history: History, at_ms: int) -> float:
    local = datetime.fromtimestamp(at_ms / 1000, ZONE)
    grown = 1 + GROWTH * (at_ms - history.since_ms) / (history.days * DAY_MS)
    payday = PAYDAY if local.day in PAYDAYS else 1.0
    return HOURS[local.hour] * WEEKDAYS[local.weekday()] * grown * payday


def moment(text: str | None) -> int:
    """UTC milliseconds of an ISO 8601 time (UTC where it names no zone); None: the beginning of this minute. ValueError."""
    if text is None:
        return int(time.time() * 1000) // MINUTE_MS * MINUTE_MS
    given = datetime.fromisoformat(text)
    return int((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp() * 1000)


def iso(at_ms: int) -> str:
    """As `moment` reads it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
