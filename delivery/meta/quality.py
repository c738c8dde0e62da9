"""What Meta says of the quality of a pixel's events: pure, from the body of its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import msgspec

from privacy.redact import printable

FIELDS = (
    "web{event_name,event_match_quality{composite_score,match_key_feedback{identifier,coverage{percentage}}}}"
)
"""What is asked for. Meta has a match quality for events of websites only."""
MAX_NAME, MAX_EVENTS = 50, 100
"""Of what Meta answers, no longer names are shown and no more events: what is beyond is not Meta's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuality:
    """One event's. score: Meta's event match quality, 0 to 10, None while it has none; coverage: percent of the events that
    had each match key, by Meta's own names for them.
    """

    event: str
    score: float | None
    coverage: Mapping[str, float] = field(default_factory=dict)


class _Share(msgspec.Struct):
    percentage: float | None = None


class _Key(msgspec.Struct):
    identifier: str
    coverage: _Share | None = None


class _Match(msgspec.Struct):
    composite_score: float | None = None
    match_key_feedback: list[_Key] | None = None


class _Event(msgspec.Struct):
    event_name: str
    event_match_quality: _Match | None = None


class _Answer(msgspec.Struct):
    web: list[_Event]


def read_quality(body: bytes) -> tuple[EventQuality, ...] | None:
    """Each event's quality, by name; None for a body that says nothing of it."""
    try:
        found = msgspec.json.decode(body, type=_Answer, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    events = map(_quality, found.web[:MAX_EVENTS])
    return tuple(sorted(events, key=lambda quality: quality.event))


def _quality(event: Any) -> EventQuality:
    match = event.event_match_quality or _Match()
    keys = (match.match_key_feedback or [])[:MAX_EVENTS]
    shares = {_name(key.identifier): _figure(key.coverage.percentage) for key in keys if key.coverage}
    return EventQuality(
        event=_name(event.event_name),
        score=_figure(match.composite_score),
        coverage={name: share for name, share in shares.items() if share is not None},
    )


def _name(text: str) -> str:
    return printable(text[:MAX_NAME])


def _figure(number: float | None) -> float | None:
    """None for what JSON cannot say."""
    return number if number is not None and isfinite(number) else None
