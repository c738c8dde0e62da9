"""What an export is: named columns with types, questions to SQL, and how their rows become its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

from analytics.period import Period
from backends.sql.reading import Question
from domain.conversions import MICROS
from domain.rollups import date_of, day_begins_ms

Kind = Literal["text", "int", "float", "money", "date", "time", "moment", "flag", "uuid"]
"""money: a decimal with six places. date: of the operator's zone. time: UTC, to the second.

Only in the archive: moment (UTC, to the millisecond), flag (true or false), uuid.
"""
Cell = str | int | float | Decimal | date | datetime | None
SIX_PLACES = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; `meaning` is told in the reference."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is exported: the days, and of which link (None: all)."""

    period: Period
    link_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export by name. `made` gets the rows of each question, all of one moment."""

    name: str
    columns: tuple[Column, ...]
    asks: Callable[[Scope], tuple[Question, ...]]
    made: Callable[..., Iterable[tuple[Cell, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The rows of an export, in the order of its columns."""

    export: Export
    rows: Sequence[tuple[Cell, ...]]


def money(micros: int) -> Decimal:
    """Exactly that many millionths."""
    return (Decimal(micros) / MICROS).quantize(SIX_PLACES)


def the_day(day: int, scope: Scope) -> tuple[date, datetime]:
    """The local day, and the moment it begins at, UTC."""
    found = date_of(day)
    begins = day_begins_ms(found, scope.period.zone)
    return found, datetime.fromtimestamp(begins // 1000, UTC)


def ordered(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """By their cells from the left, so that one export is the same on every engine."""
    return iter(sorted(rows, key=lambda row: tuple((cell is not None, cell) for cell in row)))
