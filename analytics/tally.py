"""Tally: what changes add to the rollups. Pure: what is added up is the same in any order and in any batches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from domain.conversions import webhook_of
from domain.rollups import MINUTE_MS, day_of, hour_of, wait_bin

VALUE_LENGTH = 120
TRAITS = (
    "country", "region", "city", "device", "os", "browser", "app", "class",
    "bot_score", "fraud_score", "address", "agent", "fbclid",
)  # fmt: skip
"""Traits of a visitor, in the order of the columns of click_changes from `country` on."""
_TIMES = 50_000
_ALONE, _WAIT_MS = 2, 3
Key = tuple[Any, ...]
Sums = dict[Key, list[int]]


class Tally:
    """Adds up changes by the hours and days of one time zone.

    Changes are rows of click_changes, start_changes and event_changes without `seq`. What comes back is, by the name of
    the rollup, by the values of its primary key, what is to be added to its other columns; nothing of zeros only.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._times = _Times(zone)

    def __call__(
        self,
        clicks: Iterable[Sequence[Any]],
        starts: Iterable[Sequence[Any]],
        events: Iterable[Sequence[Any]],
    ) -> Mapping[str, Sums]:
        """What they add, in any order."""
        self._times.forget()
        found = _Found()
        for click in clicks:
            _click(found, self._times, click)
        for start in starts:
            _start(found, self._times, start)
        for event in events:
            _event(found, self._times, event)
        return {
            name: {key: sums for key, sums in table.items() if any(sums)} for name, table in found.tables()
        }


class _Times(dict[int, tuple[int, int]]):
    """Hour and day of each minute: to ask the time zone of every change would take most of the time."""

    def __init__(self, zone: ZoneInfo) -> None:
        super().__init__()
        self._zone = zone

    def __missing__(self, minute: int) -> tuple[int, int]:
        at_ms = minute * MINUTE_MS
        self[minute] = both = hour_of(at_ms, self._zone), day_of(at_ms, self._zone)
        return both

    def forget(self) -> None:
        """Not more than so many."""
        if len(self) > _TIMES:
            self.clear()


class _Table(dict[Key, list[int]]):
    """Sums by key, from nothing."""

    def __init__(self, sums: int) -> None:
        super().__init__()
        self._sums = sums

    def __missing__(self, key: Key) -> list[int]:
        self[key] = sums = [0] * self._sums
        return sums


class _Found:
    """One table of sums for each rollup."""

    def __init__(self) -> None:
        self.hours, self.days, self.ads = _Table(3), _Table(4), _Table(4)
        self.starts = _Table(1)
        self.deliveries, self.events, self.sales = _Table(2), _Table(2), _Table(2)

    def tables(self) -> Iterable[tuple[str, _Table]]:
        """By the names that SQL has for them."""
        return ((f"rollup_{name}", table) for name, table in vars(self).items())


def _click(found: _Found, times: _Times, click: Sequence[Any]) -> None:
    sign, moment, link_id, ad_key, clicked, erased, started_at, *of_the_visitor = click
    at_ms = int(moment, 16)
    hour, day = times[at_ms // MINUTE_MS]
    of_all = (
        found.hours["", hour, link_id, ""],
        found.days["", day, link_id, ""],
        found.ads["", day, link_id, ad_key, ""],
    )
    if not clicked:
        for sums in of_all:
            sums[_ALONE] += sign
        return
    started = 0 if started_at is None else sign
    for sums in of_all:
        _count(sums, sign, started)
    if erased:
        _count(found.days["erased", day, link_id, "1"], sign, started)
        return
    for trait, value in _traits(*of_the_visitor):
        _count(found.days[trait, day, link_id, value], sign, started)
        if trait == "class":
            _count(found.hours[trait, hour, link_id, value], sign, started)
            _count(found.ads[trait, day, link_id, ad_key, value], sign, started)
    if started:
        wait_ms = max(0, started_at - at_ms)
        took = wait_bin(wait_ms)
        for sums in (found.days["wait", day, link_id, took], found.ads["wait", day, link_id, ad_key, took]):
            _count(sums, sign, started)
            sums[_WAIT_MS] += sign * wait_ms


def _count(sums: list[int], sign: int, started: int) -> None:
    sums[0] += sign
    sums[1] += started


def _traits(*said: Any) -> Iterable[tuple[str, str]]:
    """The values of the visitor's traits, each as a rollup writes it: "" for what is not known."""
    *texts, bot_score, fraud_score, has_address, has_agent, has_fbclid = said
    values = [
        *(text[:VALUE_LENGTH] if text else "" for text in texts),
        "" if bot_score is None else str(bot_score // 10 * 10),
        "" if fraud_score is None else str(fraud_score // 10 * 10),
        "1" if has_address else "",
        "1" if has_agent else "",
        "1" if has_fbclid else "",
    ]
    return zip(TRAITS, values, strict=True)


def _start(found: _Found, times: _Times, start: Sequence[Any]) -> None:
    sign, started_at, bot_id, kind = start
    found.starts[times[started_at // MINUTE_MS][1], bot_id, kind][0] += sign


def _event(found: _Found, times: _Times, changed: Sequence[Any]) -> None:
    sign, event, event_at, moment, link_id, ad_key, lane, state, reason, value, currency = changed
    hour, day = times[event_at // MINUTE_MS]
    link, money, micros = link_id or 0, currency or "", sign * (value or 0)
    _sell(found.deliveries[day, link, lane, event, money, state, reason or ""], sign, micros)
    if webhook_of(lane) is not None:
        return  # the event itself has its row in another lane
    _sell(found.events[hour, link, event, money], sign, micros)
    if moment is not None:
        clicked = times[int(moment, 16) // MINUTE_MS][1]
        _sell(found.sales[clicked, link, ad_key or b"", event, money], sign, micros)


def _sell(sums: list[int], sign: int, micros: int) -> None:
    sums[0] += sign
    sums[1] += micros
