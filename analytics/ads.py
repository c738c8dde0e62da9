"""Ads: what each campaign, ad set, ad and placement has brought, of the rollups.

Every figure is of the clicks of the period: their starts and sales count with them, whenever they came. Sums of the rows
are equal to the totals, and both to the rollups. Currencies are never added up.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from analytics.ad_names import LEVELS, Label, labels_of
from analytics.period import Period
from analytics.statements import statement
from backends.sql.reading import Question
from domain.conversions import PEOPLE, PURCHASE

_EVERY_LINK = (0, 2**31 - 1)
AdId = tuple[int, bytes]


class Reader(Protocol):
    """SqlReader's part of it."""

    async def ask(self, *questions: Question) -> list[Sequence[Any]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which ads, of which clicks. path: keys of labels, campaign first, as far down as one has gone. link_id None: every link's."""

    period: Period
    link_id: int | None = None
    event: str = PURCHASE
    path: tuple[str, ...] = ()

    @property
    def level(self) -> int:
        """What its rows are: an index into LEVELS."""
        return min(len(self.path), len(LEVELS) - 1)

    @property
    def values(self) -> dict[str, int]:
        """Of the statements."""
        low, high = _EVERY_LINK if self.link_id is None else (self.link_id, self.link_id)
        return {
            "first": self.period.first_day,
            "last": self.period.last_day,
            "link_from": low,
            "link_to": high,
        }


@dataclass(slots=True, kw_only=True)
class Sums:
    """Counts of a row or of all of them. events and micros (by currency) are of the chosen event.

    classes: clicks by traffic class; waits: starts by bin of how long they took (domain/rollups.py). Both empty until read.
    """

    clicks: int = 0
    starts: int = 0
    alone: int = 0
    events: int = 0
    micros: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    classes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    waits: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def people(self) -> int:
        """Clicks of people, as far as their class says."""
        return sum(self.classes.get(kind, 0) for kind in PEOPLE)

    @property
    def classed(self) -> int:
        """Clicks that have a class."""
        return sum(self.classes.values())

    @property
    def matched(self) -> int:
        """Starts of clicks that are counted in `clicks` too."""
        return self.starts - self.alone


@dataclass(slots=True, kw_only=True)
class AdRow:
    """One row. ads: those it is made of, as (link, ad key)."""

    label: Label
    sums: Sums = field(default_factory=Sums)
    ads: set[AdId] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class AdTable:
    """The rows at one level, their totals, where one is (labels of the path), and which events there are with their counts."""

    rows: list[AdRow]
    totals: Sums
    trail: list[Label]
    events: Mapping[str, int]

    @property
    def currencies(self) -> list[str]:
        """Of the values there are."""
        return sorted(currency for currency in self.totals.micros if currency)

    @property
    def ads(self) -> int:
        """Of how many ads the rows are made."""
        return sum(len(row.ads) for row in self.rows)


async def read_ads(reader: Reader, wanted: Wanted) -> AdTable:
    """Clicks, starts and sales of each row; no classes and waits yet. Raises StoreUnavailable."""
    counts, sales, events = await reader.ask(
        Question(statement("ads_counts"), wanted.values),
        Question(statement("ads_sales"), wanted.values | {"event": wanted.event}),
        Question(statement("ads_events"), wanted.values),
    )
    gathered = _Gathered(wanted)
    for row in counts:
        gathered.count(row)
    for row in sales:
        gathered.sell(row)
    return gathered.table({row.event: row.events for row in events})


async def add_traits(reader: Reader, wanted: Wanted, table: AdTable) -> None:
    """Classes and waits of every row and of the totals. Raises StoreUnavailable."""
    classes, waits = await reader.ask(
        *(Question(statement("ads_trait"), wanted.values | {"trait": trait}) for trait in ("class", "wait"))
    )
    row_of = {ad: row.sums for row in table.rows for ad in row.ads}
    for found in classes:
        _add(row_of, table.totals, found, "classes", found.clicks)
    for found in waits:
        _add(row_of, table.totals, found, "waits", found.starts)


def _add(row_of: Mapping[AdId, Sums], totals: Sums, found: Any, name: str, count: int) -> None:
    sums = row_of.get((found.link_id, bytes(found.ad_key)))
    if sums is not None and count:
        for each in (sums, totals):
            getattr(each, name)[found.value] += count


class _Gathered:
    """Rows by their labels, as they are gathered."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._rows: dict[str, AdRow] = {}
        self._totals = Sums()
        self._trail: list[Label] = []

    def count(self, found: Any) -> None:
        for sums in self._sums(found):
            sums.clicks += found.clicks
            sums.starts += found.starts
            sums.alone += found.alone

    def sell(self, found: Any) -> None:
        for sums in self._sums(found):
            sums.events += found.events
            if found.currency:
                sums.micros[found.currency] += found.micros

    def table(self, events: Mapping[str, int]) -> AdTable:
        return AdTable(rows=list(self._rows.values()), totals=self._totals, trail=self._trail, events=events)

    def _sums(self, found: Any) -> Iterable[Sums]:
        """Of the row that it belongs to, and the totals; nothing when it is of elsewhere."""
        labels, path = labels_of(found), self._wanted.path
        if tuple(label.key for label in labels[: len(path)]) != path:
            return ()
        self._trail = self._trail or list(labels[: len(path)])
        label = labels[min(self._wanted.level, len(labels) - 1)]
        row = self._rows.setdefault(label.key, AdRow(label=label))
        row.ads.add((found.link_id, bytes(found.ad_key)))
        return (row.sums, self._totals)
