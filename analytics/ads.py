"""Ads: what each campaign, ad set, ad and placement has brought, of the rollups.

Every figure is of the clicks of the period: their starts and sales count with them, whenever they came. Sums of the rows
are equal to the totals, and both to the rollups. Currencies are never added up.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analytics.ad_names import LEVELS, Label, labels_of
from analytics.figures.asked import Reader, about
from analytics.period import Period
from analytics.shares import Share
from analytics.waits import Waits
from backends.sql.reading import Question
from domain.conversions import PEOPLE, PURCHASE

FEW_ADS = 300
"""So many ads are named in a statement one by one."""
AdId = tuple[int, bytes]


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

    def about(self, name: str, **values: Any) -> Question:
        """The statement of that name for these days and this link."""
        return about(name, self.period, self.link_id, **values)


@dataclass(slots=True, kw_only=True)
class Sums:
    """Counts of a row or of all of them. `alone` are starts whose click SQL does not have: they are not among `starts`.

    events and micros (by currency) are of the chosen event. classes: clicks by traffic class; waits: starts by bin of how long
    they took (domain/rollups.py); both are None until they are read.
    """

    clicks: int = 0
    starts: int = 0
    alone: int = 0
    events: int = 0
    micros: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    classes: dict[str, int] | None = None
    waits: dict[str, int] | None = None

    @property
    def match(self) -> Share:
        """Started ones of the clicks."""
        return Share.of(self.starts, self.clicks)

    @property
    def people(self) -> Share:
        """Clicks of people, as their class says, of all that have one: those of erased people have none."""
        classes = self.classes or {}
        return Share.of(sum(classes.get(kind, 0) for kind in PEOPLE), sum(classes.values()))

    @property
    def took(self) -> Waits:
        """From click to start."""
        return Waits.of(self.waits or {}, 0)

    def begin_traits(self) -> None:
        """From now on classes and waits are known."""
        self.classes, self.waits = defaultdict(int), defaultdict(int)

    def add(self, trait: str, row: Any) -> None:
        """Add a row of a trait; `begin_traits` came before."""
        if trait == "class" and self.classes is not None and row.clicks:
            self.classes[row.value] += row.clicks
        if trait == "wait" and self.waits is not None and row.starts:
            self.waits[row.value] += row.starts


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
        return sorted(self.totals.micros)

    @property
    def ads(self) -> int:
        """Of how many ads the rows are made."""
        return sum(len(row.ads) for row in self.rows)


async def read_ads(reader: Reader, wanted: Wanted) -> AdTable:
    """Clicks, starts and sales of each row, all of one moment; no classes and waits yet. Raises StoreUnavailable."""
    counts, sales, events = await reader.ask(
        wanted.about("ads_counts"),
        wanted.about("ads_sales", event=wanted.event),
        wanted.about("ads_events"),
    )
    gathered = _Gathered(wanted)
    for row in counts:
        gathered.count(row)
    for row in sales:
        gathered.sell(row)
    return gathered.table({row.event: row.events for row in events})


async def add_traits(reader: Reader, wanted: Wanted, table: AdTable, rows: Sequence[AdRow]) -> None:
    """Classes and waits of those rows of the table, and of its totals where that costs little. Raises StoreUnavailable."""
    every = len(rows) == len(table.rows)
    read = ("class", "wait") if rows else ()
    whole = () if every or wanted.path else ("class", "wait")
    found = await reader.ask(
        *(_traits_of(wanted, trait, rows) for trait in read),
        *(wanted.about("trait", trait=trait) for trait in whole),
    )
    sums_of = {ad: [row.sums] for row in rows for ad in row.ads}
    if every:
        sums_of = {ad: [*sums, table.totals] for ad, sums in sums_of.items()}
    for sums in {id(each): each for one in sums_of.values() for each in one}.values():
        sums.begin_traits()
    for trait, part in zip(read, found, strict=False):
        for row in part:
            for sums in sums_of.get((row.link_id, bytes(row.ad_key)), ()):
                sums.add(trait, row)
    if whole:
        table.totals.begin_traits()
    for trait, part in zip(whole, found[len(read) :], strict=True):
        for row in part:
            table.totals.add(trait, row)


def _traits_of(wanted: Wanted, trait: str, rows: Sequence[AdRow]) -> Question:
    """Of all ads, or of few: then the index alone says which rows are read."""
    question = wanted.about("ads_trait", trait=trait)
    keys = sorted({ad_key for row in rows for _, ad_key in row.ads})
    if len(keys) > FEW_ADS:
        return question
    values = {f"ad{number}": key for number, key in enumerate(keys)}
    only = f"AND ad_key IN ({', '.join(f':{name}' for name in values)})\nGROUP BY"
    return Question(question.sql.replace("GROUP BY", only), {**question.values, **values})


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
