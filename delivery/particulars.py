"""Particulars: what a report says, checked. What the event cannot do without is refused by name; what it can do without is
left out and named, for tracking must not cost a sale.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from domain.conversions import CLICK_EVENT, MICROS, NOTHING, PURCHASE, START_EVENT, Money
from domain.errors import InvalidConversion

MOST_VALUE = 10**9
MOST_CONTENTS = 50
MOST_ITEMS = 1_000_000
MOST_TEXT = 200
AHEAD_MS = 60_000
_EVENT = re.compile(r"[A-Za-z0-9_-](?:[A-Za-z0-9_ -]{0,48}[A-Za-z0-9_-])?")
_DECIMAL = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,6})?")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_TEXTS = ("content_name", "content_category", "content_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of an order. item_price: of one, in the order's currency."""

    id: str
    quantity: int | None = None
    item_price: float | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What was sold, as Meta's `custom_data` has it."""

    contents: Sequence[Item] = ()
    content_name: str | None = None
    content_category: str | None = None
    content_type: str | None = None
    num_items: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom:
    """Meta's `custom_data`, and which fields were of no use."""

    data: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    ignored: tuple[str, ...] = ()


def event_name(text: str) -> str:
    """The name of an event that may be reported. Raises InvalidConversion."""
    if text in {CLICK_EVENT, START_EVENT}:
        raise InvalidConversion(f"event: {text} is reported by Trilha itself")
    if not _EVENT.fullmatch(text):
        raise InvalidConversion("event: 1 to 50 letters, digits, '_', '-' and spaces between them")
    return text


def order_key(text: str | None) -> str | None:
    """An order id. Raises InvalidConversion."""
    if text is not None and not (_is_text(text) and len(text) <= 100):
        raise InvalidConversion("order_id: 1 to 100 printable characters")
    return text


def money_of(value: float | str | None, currency: str | None) -> Money | None:
    """An amount, exact; None where neither is given. Raises InvalidConversion."""
    if value is None and currency is None:
        return None
    micros = None if value is None else _micros(value)
    if micros is None:
        raise InvalidConversion("value: 0 to 1,000,000,000 with at most 6 decimals, as a number or as text")
    if currency is None or not _CURRENCY.fullmatch(currency):
        raise InvalidConversion("currency: a value needs one, three letters of ISO 4217")
    return Money(micros=micros, currency=currency.upper())


def needed(event: str, money: Money | None, order_id: str | None) -> None:
    """Raises InvalidConversion where a purchase lacks what Meta needs of it, or what makes its repeats one."""
    missing = [*([] if money else ["value", "currency"]), *([] if order_id else ["order_id"])]
    if event == PURCHASE and missing:
        raise InvalidConversion(f"{PURCHASE} needs: {', '.join(missing)}")


def moment_of(text: str | None, now_ms: int) -> int:
    """UTC milliseconds of an ISO 8601 time with its offset; now where none is given. Raises InvalidConversion."""
    if text is None:
        return now_ms
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min  # noqa: DTZ901  refused below, as all without an offset
    if at.tzinfo is None or at < _FIRST:
        raise InvalidConversion("at: a time of ISO 8601 with its offset, such as 2026-11-24T10:30:00-03:00")
    at_ms = int(at.timestamp() * 1000)
    if at_ms > now_ms + AHEAD_MS:
        raise InvalidConversion("at: more than 60 s in the future")
    return at_ms


def custom_of(content: Content) -> Custom:
    """What of it can be used."""
    found: dict[str, Any] = {}
    if content.contents:
        found["contents"] = _contents(content.contents)
    for name in _TEXTS:
        text = getattr(content, name)
        if text is not None:
            found[name] = text if _is_text(text) and len(text) <= MOST_TEXT else None
    if content.num_items is not None:
        found["num_items"] = _within(content.num_items, 0)
    return Custom(
        data={name: value for name, value in found.items() if value is not None},
        ignored=tuple(name for name, value in found.items() if value is None),
    )


def _contents(items: Sequence[Item]) -> list[dict[str, Any]] | None:
    """All of them or none: a part of an order is another order."""
    lines = [_line(item) for item in items[: MOST_CONTENTS + 1]]
    sound = [line for line in lines if line is not None]
    return sound if len(sound) == len(lines) <= MOST_CONTENTS else None


def _line(item: Item) -> dict[str, Any] | None:
    price = None if item.item_price is None else _micros(item.item_price)
    quantity = None if item.quantity is None else _within(item.quantity, 1)
    if (price is None) != (item.item_price is None) or (quantity is None) != (item.quantity is None):
        return None
    if not _is_text(item.id) or len(item.id) > 100:
        return None
    line: dict[str, Any] = {"id": item.id}
    if quantity is not None:
        line["quantity"] = quantity
    if price is not None:
        line["item_price"] = price / MICROS
    return line


def _micros(value: float | str) -> int | None:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        return None
    try:
        # A float's shortest form is the decimal number that was meant: it has fifteen digits at most.
        micros = Decimal(str(value)) * MICROS
        exact = int(micros)
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return exact if exact == micros and 0 <= exact <= MOST_VALUE * MICROS else None


def _within(number: int, least: int) -> int | None:
    return number if least <= number <= MOST_ITEMS else None


def _is_text(text: str) -> bool:
    return text.isprintable() and bool(text.strip())
