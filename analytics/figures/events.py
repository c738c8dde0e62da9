"""Figures of events by their own moment: each event once (`events`), and what became of it in every lane (`deliveries`)."""

from dataclasses import dataclass
from datetime import date

from analytics.figures.asked import Figure, Reader, Rows, about, about_hours, answer
from analytics.figures.sold import Sold, sold
from analytics.period import Period
from analytics.shares import Share
from domain.conversions import DeliveryState, Money
from domain.rollups import date_of, hour_ms

UNSENT: frozenset[DeliveryState] = frozenset({"pending", "rejected", "dead", "skipped"})
FAILED: frozenset[DeliveryState] = frozenset({"rejected", "dead"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHour:
    """What happened in one local hour, `at_ms` its beginning in UTC milliseconds."""

    at_ms: int
    sold: tuple[Sold, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Deliveries of one event through one lane that are in one state for one reason ("" for none)."""

    lane: str
    event: str
    state: DeliveryState
    reason: str
    events: int
    money: Money | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneDay:
    """How many deliveries of a lane and day are sent, pending, failed (rejected or dead) and skipped."""

    sent: int = 0
    pending: int = 0
    failed: int = 0
    skipped: int = 0


async def events(reader: Reader, period: Period, link_id: int | None = None) -> tuple[Sold, ...]:
    """What happened in the period, each event once however many destinations it has. Raises StoreUnavailable."""
    return await answer(reader, events_figure(period, link_id))


def events_figure(period: Period, link_id: int | None = None) -> Figure[tuple[Sold, ...]]:
    """As `events`, to be asked with others."""
    return Figure((about_hours("events", period, link_id),), sold)


async def events_by_hour(reader: Reader, period: Period, link_id: int | None = None) -> tuple[EventHour, ...]:
    """The hours in which something happened, in order."""
    return await answer(reader, events_by_hour_figure(period, link_id))


def events_by_hour_figure(period: Period, link_id: int | None = None) -> Figure[tuple[EventHour, ...]]:
    """As `events_by_hour`, to be asked with others."""

    def made(rows: Rows) -> tuple[EventHour, ...]:
        hours = sorted({row.hour for row in rows})
        return tuple(
            EventHour(at_ms=hour_ms(hour), sold=sold(row for row in rows if row.hour == hour))
            for hour in hours
        )

    return Figure((about_hours("events_hours", period, link_id),), made)


async def deliveries(reader: Reader, period: Period, link_id: int | None = None) -> tuple[Delivered, ...]:
    """What became of the period's events in every lane, sent ones included. Raises StoreUnavailable."""
    return await answer(reader, deliveries_figure(period, link_id))


def deliveries_figure(period: Period, link_id: int | None = None) -> Figure[tuple[Delivered, ...]]:
    """As `deliveries`, to be asked with others."""

    def made(rows: Rows) -> tuple[Delivered, ...]:
        found = (
            Delivered(
                lane=row.lane,
                event=row.event,
                state=row.state,
                reason=row.reason,
                events=row.events,
                money=Money(micros=row.micros, currency=row.currency) if row.currency else None,
            )
            for row in rows
            if row.events
        )
        return tuple(
            sorted(found, key=lambda each: (-each.events, each.lane, each.event, each.state, each.reason))
        )

    return Figure((about("deliveries", period, link_id),), made)


async def unsent(reader: Reader, period: Period, link_id: int | None = None) -> tuple[Delivered, ...]:
    """Those deliveries that have not arrived: pending, rejected, dead and skipped, each with its reason; most first."""
    return unsent_of(await deliveries(reader, period, link_id))


def unsent_of(found: tuple[Delivered, ...]) -> tuple[Delivered, ...]:
    """Of these, the ones that have not arrived."""
    return tuple(each for each in found if each.state in UNSENT)


def delivered_share(found: tuple[Delivered, ...], lane: str | None = None) -> Share:
    """Sent of all that were to be sent, in one lane or all: skipped ones were not to be."""
    due = [each for each in found if each.state != "skipped" and lane in {None, each.lane}]
    return Share.of(
        sum(each.events for each in due if each.state == "sent"), sum(each.events for each in due)
    )


def lane_days_figure(period: Period, link_id: int | None = None) -> Figure[dict[str, dict[date, LaneDay]]]:
    """States by lane and day of the event; days without one are left out."""

    def made(rows: Rows) -> dict[str, dict[date, LaneDay]]:
        counts: dict[tuple[str, date], dict[str, int]] = {}
        for row in rows:
            of = counts.setdefault((row.lane, date_of(row.day)), {})
            state = "failed" if row.state in FAILED else row.state
            of[state] = of.get(state, 0) + row.events
        found: dict[str, dict[date, LaneDay]] = {}
        for (lane, day), states in counts.items():
            found.setdefault(lane, {})[day] = LaneDay(**states)
        return found

    return Figure((about("deliveries_days", period, link_id),), made)
