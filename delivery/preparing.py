"""From claimed deliveries to events that are ready; what is not to be sent now, or ever, is marked on the way."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from delivery.destination import Destination, Never, NotYet, Prepared, Ready, Refusal
from delivery.marks import Claim, Marks
from domain.conversions import Delivery, DeliveryState
from runtime.logs import get_logger

CHUNK = 50
"""Deliveries that are made ready before others in this process get their turn: a few milliseconds' worth."""
_log = get_logger("trilha.delivery")


async def prepare(
    destination: Destination, claimed: Sequence[Delivery], marks: Marks, *, now_ms: int, spread: float
) -> list[Claim]:
    """Those that are ready, in their order. Raises StoreUnavailable."""
    ready: list[Claim] = []
    waits: dict[NotYet, list[UUID]] = {}
    ends: dict[tuple[DeliveryState, str], list[UUID]] = {}
    faults: dict[Refusal, list[Claim]] = {}
    for number, delivery in enumerate(claimed, 1):
        event_id, at_ms = delivery.conversion.id, delivery.conversion.at_ms
        match _prepared(destination, delivery, now_ms):
            case Ready() as event:
                ready.append(Claim(event, at_ms))
            case NotYet() as wait:
                waits.setdefault(wait, []).append(event_id)
            case Never(state=state, reason=reason):
                ends.setdefault((state, reason), []).append(event_id)
            case Refusal() as fault:
                faults.setdefault(fault, []).append(_unmade(delivery))
        if number % CHUNK == 0:
            await asyncio.sleep(0)
    for wait, ids in waits.items():
        await marks.wait(ids, wait.seconds, wait.reason)
    for (state, reason), ids in ends.items():
        await marks.end(ids, state, reason)
    for fault, claims in faults.items():
        first = str(claims[0].event.id)
        _log.error("an event could not be made", event_id=first, events=len(claims), reason=fault.reason)
        await marks.retry(claims, fault, spread=spread)
    return ready


def _prepared(destination: Destination, delivery: Delivery, now_ms: int) -> Prepared | Refusal:
    """What nobody foresaw in one event is that event's trouble alone: it is tried again, and holds up no other."""
    try:
        return destination.prepared(delivery, now_ms)
    except Exception as error:  # noqa: BLE001  as above
        kind = type(error).__name__  # its text may be personal
        return Refusal(kind="event", code="made", reason=f"could not be made: {kind}")


def _unmade(delivery: Delivery) -> Claim:
    event = Ready(id=delivery.conversion.id, body=b"", matched=(), attempts=delivery.attempts)
    return Claim(event, delivery.conversion.at_ms)
