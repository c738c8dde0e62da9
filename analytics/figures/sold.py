"""What was sold: sums of events for each currency, never over currencies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from domain.conversions import PURCHASE, Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """How often an event happened, and what it was worth in one currency (`money` is None without one)."""

    event: str
    events: int
    money: Money | None


def sold(rows: Iterable[Any]) -> tuple[Sold, ...]:
    """Each row with `event`, `currency`, `events` and `micros` that counts for something."""
    return tuple(
        Sold(
            event=row.event,
            events=row.events,
            money=Money(micros=row.micros, currency=row.currency) if row.currency else None,
        )
        for row in rows
        if row.events or row.micros
    )


def sales(found: Sequence[Sold]) -> int:
    """How many purchases."""
    return sum(each.events for each in found if each.event == PURCHASE)


def revenue(found: Sequence[Sold]) -> tuple[Money, ...]:
    """What the purchases were worth, one amount for each currency, the greatest first."""
    sums: dict[str, int] = {}
    for each in found:
        if each.event == PURCHASE and each.money:
            sums[each.money.currency] = sums.get(each.money.currency, 0) + each.money.micros
    ordered = sorted(sums.items(), key=lambda one: (-one[1], one[0]))
    return tuple(Money(micros=micros, currency=currency) for currency, micros in ordered)
