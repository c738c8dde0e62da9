"""What Meta took: each event once, how often it came, and what a careful sender would not have sent."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.meta.user_data import DIGEST, FBC, HASHED

Key = tuple[str, str, str]
"""Pixel, event name, event id."""
DEDUP_SECONDS = 48 * 3600
_MOST_REMARKS = 1000
_NOTHING_HASHED = hashlib.sha256(b"").hexdigest()
_FBC_AHEAD_MS = 60_000
_KEPT_NOT: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call for a pixel. status 0: it was not answered. events: how many it had, if that was looked at."""

    pixel: str
    status: int
    events: int
    error: str | None
    at: float


class Kept:
    """Everything about accepted calls.

    accepted: the first copy of each event. received: how often it came. counted: how often Meta counts it, which is more
    than once when it came again after 48 hours. tested: what came with a test_event_code, apart from all of these.
    unnamed: events without an id, which are never recognised again. faulty: ids of events that a call was refused for.
    """

    def __init__(self, *, whole: bool) -> None:
        self.accepted: dict[Key, dict[str, Any]] = {}
        self.received: Counter[Key] = Counter()
        self.counted: Counter[Key] = Counter()
        self.tested: list[tuple[str, dict[str, Any]]] = []
        self.unnamed: list[tuple[str, dict[str, Any]]] = []
        self.coverage: dict[tuple[str, str], Counter[str]] = {}
        self.faulty: set[str] = set()
        self.oddities: list[str] = []
        self.leaks: list[str] = []
        self._whole = whole
        self._counted_at: dict[Key, float] = {}

    def take(self, pixel: str, events: list[dict[str, Any]], now: float) -> None:
        """A batch that breaks no rule."""
        for event in events:
            name, number = event["event_name"], event.get("event_id")
            if number is None:
                self.unnamed.append((pixel, event))
                self.odd("an event has no event_id")
                continue
            key = (pixel, name, number)
            self.received[key] += 1
            if key not in self._counted_at or now - self._counted_at[key] > DEDUP_SECONDS:
                self._count(key, event, now)

    def test(self, pixel: str, events: list[dict[str, Any]]) -> None:
        """A batch with a test_event_code."""
        self.tested.extend((pixel, event) for event in events)

    def leak(self, what: str) -> None:
        """Something secret or personal came where it must not."""
        _remark(self.leaks, what)

    def odd(self, what: str) -> None:
        """Meta takes it, and it is a mistake all the same."""
        _remark(self.oddities, what)

    def _count(self, key: Key, event: dict[str, Any], now: float) -> None:
        self._counted_at[key] = now
        self.counted[key] += 1
        self.accepted.setdefault(key, event if self._whole else _KEPT_NOT)
        self._look(event)
        if event["action_source"] == "website":
            coverage = self.coverage.setdefault(key[:2], Counter())
            coverage.update(event["user_data"].keys())
            coverage["events"] += 1

    def _look(self, event: dict[str, Any]) -> None:
        user_data = event["user_data"]
        for key in HASHED & user_data.keys():
            if _NOTHING_HASHED in user_data[key]:
                self.odd(f"{key} is the digest of nothing")
        external = user_data.get("external_id", ())
        for each in [external] if isinstance(external, str) else external:
            if not DIGEST.fullmatch(each):
                self.leak("external_id in clear")
        fbc = FBC.fullmatch(user_data.get("fbc", ""))
        if fbc and int(fbc[1]) > event["event_time"] * 1000 + _FBC_AHEAD_MS:
            self.odd("fbc was made after the event")


def _remark(remarks: list[str], what: str) -> None:
    if len(remarks) < _MOST_REMARKS:
        remarks.append(what)
