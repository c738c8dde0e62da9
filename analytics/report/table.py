"""A table of the report, which every renderer writes in its own way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analytics.report import words
from analytics.shares import Share
from domain.conversions import MICROS, Money

Cell = str | int | float | None | Share | tuple[Money, ...]
Kind = Literal["text", "count", "share", "seconds", "points", "amounts"]
_NUMBERS: Mapping[Kind, Callable[[float], str]] = {
    "text": str,
    "count": lambda value: words.count(int(value)),
    "share": words.share,
    "seconds": words.seconds,
    "points": lambda value: f"{round(value * 100, 1) + 0.0:+.1f}",  # never -0.0
    "amounts": str,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`name` is the heading of files, and stays; `title` is the one that people see.

    for_files: people see nothing of it. cropped: a terminal cuts its texts, which are long.
    """

    name: str
    title: str
    kind: Kind = "text"
    for_files: bool = False
    cropped: bool = False

    @property
    def numeric(self) -> bool:
        """Whether its cells stand at the right."""
        return self.kind != "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`name` is the name of its file, and stays. bar: the column of counts that is drawn as bars, if any.

    about: what its figures are of; advice: what to do, when something is amiss; empty: what is said instead of no rows.
    short: how many rows a terminal shows. headline: so many columns are the headline of a row, whose others are written one
    below the other; 0 for a table as tables are.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell]]
    about: str = ""
    advice: str = ""
    empty: str = "nothing in this period"
    bar: str | None = None
    short: int = 10
    headline: int = 0

    def seen(self, row: Sequence[Cell]) -> list[tuple[Column, str]]:
        """The row's cells that people see, each as they read it."""
        pairs = zip(self.columns, row, strict=True)
        return [(each, shown(cell, each.kind)) for each, cell in pairs if not each.for_files]

    @property
    def headings(self) -> list[Column]:
        """The columns that people see."""
        return [each for each in self.columns if not each.for_files]

    def part_of_bar(self, row: Sequence[Cell]) -> float | None:
        """How long the row's bar is, of the longest; None where the table has none."""
        if self.bar is None:
            return None
        at = [column.name for column in self.columns].index(self.bar)
        longest = max((_size(each[at]) for each in self.rows), default=0)
        return _size(row[at]) / longest if longest else 0.0


def column(name: str, title: str, kind: Kind = "text") -> Column:
    """A column, in few words."""
    return Column(name=name, title=title, kind=kind)


def cropped(name: str) -> Column:
    """A column of long texts."""
    return Column(name=name, title=name, cropped=True)


def for_files(name: str) -> Column:
    """A column of texts that only files have."""
    return Column(name=name, title=name, for_files=True)


def shown(cell: Cell, kind: Kind) -> str:
    """A cell as people read it."""
    match cell:
        case None:
            return words.NOTHING
        case Share():
            return words.with_interval(cell)
        case tuple():
            return words.amounts(cell)
        case str():
            return cell or words.NOTHING
        case _:
            return _NUMBERS[kind](cell)


def plain(cell: Cell) -> str | int | float | None:
    """A cell as programs read it: numbers as they are, amounts with all their digits."""
    match cell:
        case Share():
            return None if cell.share is None else round(cell.share, 6)
        case tuple():
            return " + ".join(f"{decimal(each)} {each.currency}" for each in cell)
        case float():
            return round(cell, 6)
        case _:
            return cell


def decimal(money: Money) -> str:
    """The amount as a decimal number, exact, with two digits at least."""
    whole, part = divmod(abs(money.micros), MICROS)
    digits = f"{part:06}".rstrip("0").ljust(2, "0")
    return f"{'-' if money.micros < 0 else ''}{whole}.{digits}"


def _size(cell: Cell) -> float:
    return max(float(cell), 0.0) if isinstance(cell, int | float) else 0.0
