"""Steps of conversions: what was reported, and what became of it in each lane."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from uuid import UUID

from analytics.explain.explanation import Step, Verdict
from analytics.explain.facts import Facts
from analytics.explain.gates import gate_of
from analytics.explain.words import Words
from domain.advice import advice, of_held
from domain.conversions import (
    CLICK_EVENT,
    START_EVENT,
    UNATTRIBUTED,
    Conversion,
    LaneStatus,
    pixel_of,
    webhook_of,
)
from domain.trace import TracedDelivery

LATE_MS = 120_000
"""What is due longer than a relay waits between two looks is sent by nobody."""
LOOKED_FOR_MS = 86_400_000
"""How long a click is looked for: `ATTRIBUTE_HOURS` of the relay."""
OWN = (CLICK_EVENT, START_EVENT)
"""Events that nobody reports: clicks and starts are them."""
Event = Sequence[TracedDelivery]


def events_of(rows: Iterable[TracedDelivery]) -> list[Event]:
    """The rows of each event, oldest event first; the row of its pixel before those of webhooks."""
    ordered = sorted(rows, key=lambda row: (row.at_ms, str(row.event_id), webhook_of(row.lane) or ""))
    return [list(found) for _, found in groupby(ordered, key=lambda row: row.event_id)]


def main_row(event: Event) -> TracedDelivery:
    """The one row that says what became of the event as such (F45)."""
    return next((row for row in event if webhook_of(row.lane) is None), event[0])


def event_steps(facts: Facts, event: Event, words: Words) -> Iterator[Step]:
    """That it was reported, and each of its ways."""
    yield _reported(facts, main_row(event), words)
    yield from (way_step(facts, row, words) for row in event)


def waiting_step(facts: Facts, sale: Conversion, words: Words) -> Step:
    """A conversion that SQL does not have yet."""
    lines = [words.say("sale.order", order=sale.order_id)] if sale.order_id else []
    span = words.span(facts.now_ms - sale.at_ms)
    return Step(
        kind="conversion.deferred",
        title=words.say("sale.waits", event=sale.event),
        verdict="waiting",
        at_ms=sale.at_ms,
        detail=(*lines, words.say("store.spooled", span=span)),
        advice=words.say("advice.spooled"),
    )


def way_step(facts: Facts, row: TracedDelivery, words: Words) -> Step:
    """What became of it in one lane."""
    title, verdict = _title(facts, row, words)
    return Step(
        kind=f"delivery.{row.state}",
        title=title,
        verdict=verdict,
        at_ms=row.sent_at_ms if row.state == "sent" else None,
        detail=tuple(_detail(facts, row, words)),
        advice=None if row.state == "sent" else what_to_do(facts, row, words),
    )


def where(lane: str, words: Words) -> str:
    """A lane in a sentence."""
    if pixel := pixel_of(lane):
        return words.say("lane.meta", name=pixel)
    return words.say("lane.webhook", name=webhook_of(lane) or "-")


def why(row: TracedDelivery, words: Words) -> str:
    """In a clause: the gate's sentence, or the destination's own words."""
    gate = gate_of(row.reason)
    return words.say(gate) if gate else (row.reason or row.code or row.state)


def held(facts: Facts, row: TracedDelivery) -> LaneStatus | None:
    """The lane of what still waits, when it is held."""
    lane = facts.lanes.get(row.lane)
    return lane if row.state == "pending" and lane and lane.held_at_ms is not None else None


def overdue_ms(facts: Facts, row: TracedDelivery) -> int | None:
    """Since when it should have been tried; None: nothing is late."""
    late = facts.now_ms - row.next_at_ms
    return late if row.state == "pending" and late > LATE_MS and not held(facts, row) else None


def what_to_do(facts: Facts, row: TracedDelivery, words: Words) -> str:
    """With the names of this link and event in the commands."""
    if held(facts, row):
        return of_held(row.lane, language=words.language)
    if overdue_ms(facts, row) is not None:
        return words.say("advice.overdue")
    found = facts.click(row.click_id)
    text = advice(row.lane, row.state, row.code, row.reason, language=words.language)
    if found is not None and found.link is not None:
        text = text.replace("SLUG", found.link.slug)
    return text.replace("--on EVENT", f"--on {row.event}").replace(
        "retry ID", f"retry {_short(row.event_id)}"
    )


def _reported(facts: Facts, row: TracedDelivery, words: Words) -> Step:
    known = row.click_id is not None and (facts.click(row.click_id) is not None or row.event in OWN)
    lines = [
        row.order_id and words.say("sale.order", order=row.order_id),
        row.money and words.say("sale.value", money=words.money(row.money)),
        words.say("sale.event_id", id=row.event_id),
        None if known or row.click_id is not None else words.say("sale.no_click"),
    ]
    return Step(
        kind="conversion",
        title=words.say("sale.own" if row.event in OWN else "sale.title", event=row.event),
        verdict="done",
        at_ms=row.at_ms,
        detail=tuple(line for line in lines if line),
    )


def _title(facts: Facts, row: TracedDelivery, words: Words) -> tuple[str, Verdict]:
    nowhere = row.lane == UNATTRIBUTED
    place = "" if nowhere else where(row.lane, words)
    match row.state:
        case "sent":
            return words.say("way.sent", where=place), "done"
        case "pending" if held(facts, row):
            return words.say("way.held", where=place), "wrong"
        case "pending":
            title = words.say("way.unplaced") if nowhere else words.say("way.pending", where=place)
            return title, "wrong" if overdue_ms(facts, row) is not None else "waiting"
        case "skipped":
            return words.say("way.nowhere") if nowhere else words.say("way.skipped", where=place), "not"
        case state:
            return words.say("way.nowhere") if nowhere else words.say(f"way.{state}", where=place), "wrong"


def _detail(facts: Facts, row: TracedDelivery, words: Words) -> Iterator[str]:
    if row.state != "sent" and (gate := gate_of(row.reason)):
        yield words.say("way.why", why=words.say(gate))
    if lane := held(facts, row):
        at_ms = lane.held_at_ms or facts.now_ms
        yield words.say("way.held_since", time=words.time(at_ms), reason=lane.hold_reason or "-")
    if row.reason:
        yield words.say("way.said", reason=row.reason)
    if row.code:
        yield words.say("way.code", code=row.code)
    if row.attempts:
        yield words.say("way.attempts", count=row.attempts)
    if row.matched:
        yield words.say("way.matched", keys=" ".join(row.matched))
    if row.trace:
        yield words.say("way.trace", trace=row.trace)
    yield from _waits(facts, row, words)
    warned = facts.lanes.get(row.lane)
    if warned is not None and warned.warning:
        yield words.say("way.warning", warning=warned.warning)


def _waits(facts: Facts, row: TracedDelivery, words: Words) -> Iterator[str]:
    if row.state != "pending" or held(facts, row):
        return
    if (late := overdue_ms(facts, row)) is not None:
        yield words.say("way.late", span=words.span(late))
    else:
        yield words.say("way.next", time=words.time(row.next_at_ms))
    if row.lane == UNATTRIBUTED:
        yield words.say("way.until", time=words.time(row.at_ms + LOOKED_FOR_MS))


def _short(event_id: UUID) -> str:
    return event_id.hex[:8]
