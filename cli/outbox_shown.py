"""The outbox as people and scripts see it."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from backends.sql.outbox_list import COUNTED, Counts, DeadLetters, Entry
from cli.pixel_advice import of_lane
from domain.advice import advice
from domain.clock import iso
from domain.conversions import MICROS, UNATTRIBUTED, Money

LIST_HEADINGS = ["at", "id", "event", "destination", "state", "tries", "next", "reason"]
NOWHERE = "nowhere"
"""How the lane of conversions that have no destination is shown."""


def local(at_ms: int, zone: ZoneInfo) -> str:
    """A time by the operator's clock."""
    return f"{datetime.fromtimestamp(at_ms / 1000, zone):%Y-%m-%d %H:%M:%S}"


def short_time(at_ms: int, zone: ZoneInfo) -> str:
    """As `local`, for a row that has little room: without the year."""
    return local(at_ms, zone)[5:]


def list_row(entry: Entry, *, held: dict[str, str], now_ms: int, zone: ZoneInfo) -> list[str]:
    """A row of `outbox list`."""
    return [
        short_time(entry.at_ms, zone),
        short(entry.event_id),
        entry.event,
        destination(entry.lane),
        entry.state,
        str(entry.attempts),
        _next_try(entry, held, now_ms),
        entry.reason or "-",
    ]


def summary(counts: Counts, since_ms: int, zone: ZoneInfo) -> str:
    """How many there are in each state."""
    of = "" if counts.whole else f" (of the newest {COUNTED})"
    found = ", ".join(f"{number} {state}" for state, number in sorted(counts.by_state.items()))
    return f"since {local(since_ms, zone)} ({zone.key}){of}: {found or 'nothing'}"


def held_lines(held: dict[str, str]) -> list[str]:
    """What the operator has to mend before anything more is sent."""
    return [f"HELD: {destination(lane)}: {reason}" for lane, reason in held.items()]


def entry_json(entry: Entry) -> dict[str, Any]:
    """A row as scripts see it in `outbox list`."""
    return {
        "event_id": str(entry.event_id),
        "event": entry.event,
        "at": iso(entry.at_ms),
        "order_id": entry.order_id,
        **_delivery_json(entry),
    }


def stories(entries: Iterable[Entry]) -> list[list[Entry]]:
    """The rows of each event, together; they come in this order."""
    return [list(rows) for _, rows in groupby(entries, key=lambda entry: entry.event_id)]


def story_json(rows: list[Entry], held: dict[str, str]) -> dict[str, Any]:
    """One event with all that became of it."""
    event = rows[0]
    money = event.money
    return {
        "event_id": str(event.event_id),
        "event": event.event,
        "at": iso(event.at_ms),
        "click_id": None if event.click_id is None else str(event.click_id),
        "link": event.slug,
        "bot": event.bot,
        "order_id": event.order_id,
        "value": None if money is None else money.micros / MICROS,
        "currency": None if money is None else money.currency,
        "deliveries": [
            _delivery_json(row) | {"held": held.get(row.lane), "advice": _advice(row, held)} for row in rows
        ],
    }


def story_text(rows: list[Entry], *, held: dict[str, str], now_ms: int, zone: ZoneInfo) -> str:
    """One event with all that became of it, a line for each thing that is known."""
    event = rows[0]
    known = {
        "happened": f"{local(event.at_ms, zone)} ({zone.key})",
        "order": event.order_id,
        "value": None if event.money is None else money_text(event.money),
        "link": event.slug,
        "bot": None if event.bot is None else f"@{event.bot}",
        "click": event.click_id,
    }
    lines = [f"{event.event} {event.event_id}", *_lines(known, indent=2)]
    for row in rows:
        lines += [f"  {destination(row.lane)}: {row.state}", *_told(row, held, now_ms, zone)]
    return "\n".join(lines)


def dead_letters_json(found: DeadLetters) -> dict[str, Any]:
    """A group as scripts see it."""
    return {
        "lane": found.lane,
        "state": found.state,
        "code": found.code,
        "reason": found.reason,
        "count": found.count,
        "first_at": iso(found.first_at_ms),
        "last_at": iso(found.last_at_ms),
        "example": str(found.example),
        "advice": _about(found),
    }


def dead_letters_lines(found: DeadLetters, zone: ZoneInfo) -> list[str]:
    """A group in four lines."""
    code = f" ({found.code})" if found.code else ""
    times = f"{local(found.first_at_ms, zone)} to {local(found.last_at_ms, zone)}"
    return [
        f"{found.count:>7}  {destination(found.lane)}: {found.state}{code}",
        f"         {found.reason or '-'}",
        f"         {times}, newest: {short(found.example)}",
        f"         what to do: {_about(found)}",
    ]


def short(event_id: UUID) -> str:
    """The start of an id, which `outbox show` takes."""
    return event_id.hex[:8]


def destination(lane: str) -> str:
    """A lane in a text."""
    return NOWHERE if lane == UNATTRIBUTED else lane


def money_text(money: Money) -> str:
    """An amount with its two digits, and more where there are more."""
    whole, part = divmod(abs(money.micros), MICROS)
    sign = "-" if money.micros < 0 else ""
    return f"{sign}{whole}.{f'{part:06}'.rstrip('0').ljust(2, '0')} {money.currency}"


def _delivery_json(entry: Entry) -> dict[str, Any]:
    pending = entry.state == "pending"
    return {
        "lane": entry.lane,
        "state": entry.state,
        "attempts": entry.attempts,
        "next_at": iso(entry.next_at_ms) if pending else None,
        "code": entry.code,
        "reason": entry.reason,
        "trace": entry.trace,
        "sent_at": None if entry.sent_at_ms is None else iso(entry.sent_at_ms),
        "matched": list(entry.matched),
    }


def _told(row: Entry, held: dict[str, str], now_ms: int, zone: ZoneInfo) -> Iterator[str]:
    known = {
        "attempts": row.attempts,
        "next try": _next_try(row, held, now_ms) if row.state == "pending" else None,
        "sent at": None if row.sent_at_ms is None else local(row.sent_at_ms, zone),
        "matched": " ".join(row.matched) or None,
        "code": row.code,
        "reason": row.reason,
        "trace": row.trace,
        "what to do": _advice(row, held),
    }
    return _lines(known, indent=4)


def _lines(known: dict[str, Any], *, indent: int) -> Iterator[str]:
    return (f"{' ' * indent}{name:<11} {value}" for name, value in known.items() if value is not None)


def _next_try(entry: Entry, held: dict[str, str], now_ms: int) -> str:
    if entry.state != "pending":
        return "-"
    if entry.lane in held:
        return "held"
    seconds = (entry.next_at_ms - now_ms) // 1000
    return "now" if seconds < 1 else f"in {seconds} s" if seconds < 120 else f"in {seconds // 60} min"


def _advice(row: Entry, held: dict[str, str]) -> str:
    if row.state == "pending" and row.lane in held:
        return f"its lane is held: {held[row.lane]}. {of_lane(row.lane)}"
    return advice(row.lane, row.state, row.code, row.reason)


def _about(found: DeadLetters) -> str:
    return advice(found.lane, found.state, found.code, found.reason)
