"""What Meta says of the quality of a pixel's events: pure, from the body of its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

FIELDS = (
    "web{event_name,event_match_quality{composite_score,match_key_feedback{identifier,coverage{percentage}}}}"
)
"""What is asked for. Meta has a match quality for events of websites only."""


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
    return tuple(sorted((_quality(event) for event in found.web), key=lambda quality: quality.event))


def _quality(event: Any) -> EventQuality:
    match = event.event_match_quality or _Match()
    shares = {
        key.identifier: key.coverage.percentage for key in match.match_key_feedback or () if key.coverage
    }
    return EventQuality(
        event=event.event_name,
        score=match.composite_score,
        coverage={name: share for name, share in shares.items() if share is not None},
    )
