"""Tally: what changes add to the rollups. Pure: what is added up is the same in any order and in any batches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from domain.conversions import webhook_of
from domain.rollups import MINUTE_MS, day_of, hour_of, wait_bin

VALUE_LENGTH = 120
_TIMES = 50_000
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
            _click(found, self._times, *click)
        for start in starts:
            _start(found, self._times, *start)
        for event in events:
            _event(found, self._times, *event)
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


def _click(  # noqa: PLR0913, PLR0917  the columns of click_changes
    found: _Found,
    times: _Times,
    sign: int,
    moment: str,
    link_id: int,
    ad_key: bytes,
    clicked: bool,
    erased: bool,
    started_at: int | None,
    country: str | None,
    region: str | None,
    city: str | None,
    device: str | None,
    os: str | None,
    browser: str | None,
    app: str | None,
    traffic_class: str | None,
    bot_score: int | None,
    fraud_score: int | None,
    has_address: bool,
    has_agent: bool,
    has_fbclid: bool,
) -> None:
    at_ms = int(moment, 16)
    hour, day = times[at_ms // MINUTE_MS]
    if not clicked:
        found.hours["", hour, link_id, ""][2] += sign
        found.days["", day, link_id, ""][2] += sign
        found.ads["", day, link_id, ad_key, ""][2] += sign
        return
    started = 0 if started_at is None else sign
    _count(found.hours["", hour, link_id, ""], sign, started)
    _count(found.days["", day, link_id, ""], sign, started)
    _count(found.ads["", day, link_id, ad_key, ""], sign, started)
    if erased:
        _count(found.days["erased", day, link_id, "1"], sign, started)
        return
    kind = traffic_class or ""
    _count(found.hours["class", hour, link_id, kind], sign, started)
    _count(found.ads["class", day, link_id, ad_key, kind], sign, started)
    for trait, value in (
        ("class", kind),
        ("device", device or ""),
        ("os", os or ""),
        ("browser", browser or ""),
        ("app", app or ""),
        ("country", country or ""),
        ("region", region or ""),
        ("city", city or ""),
        ("bot_score", _tens(bot_score)),
        ("fraud_score", _tens(fraud_score)),
        ("address", "1" if has_address else ""),
        ("agent", "1" if has_agent else ""),
        ("fbclid", "1" if has_fbclid else ""),
    ):
        _count(found.days[trait, day, link_id, value[:VALUE_LENGTH]], sign, started)
    if started_at is not None:
        wait_ms = max(0, started_at - at_ms)
        each = wait_bin(wait_ms)
        for sums in (found.days["wait", day, link_id, each], found.ads["wait", day, link_id, ad_key, each]):
            _count(sums, sign, started)
            sums[3] += sign * wait_ms


def _count(sums: list[int], sign: int, started: int) -> None:
    sums[0] += sign
    sums[1] += started


def _tens(score: int | None) -> str:
    return "" if score is None else str(score // 10 * 10)


def _start(found: _Found, times: _Times, sign: int, started_at: int, bot_id: int, kind: str) -> None:  # noqa: PLR0913, PLR0917  the columns of start_changes
    found.starts[times[started_at // MINUTE_MS][1], bot_id, kind][0] += sign


def _event(  # noqa: PLR0913, PLR0917  the columns of event_changes
    found: _Found,
    times: _Times,
    sign: int,
    event: str,
    event_at: int,
    moment: str | None,
    link_id: int | None,
    ad_key: bytes | None,
    lane: str,
    state: str,
    reason: str | None,
    value: int | None,
    currency: str | None,
) -> None:
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
