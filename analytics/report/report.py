"""The report as values: everything that a renderer shows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from analytics.figures.books import PeriodBooks
from analytics.figures.clicks import Day, Totals
from analytics.figures.events import FAILED, Delivered, delivered_share, unsent_of
from analytics.figures.links import AdFigures, LinkFigures
from analytics.figures.sold import Sold
from analytics.figures.starts import StartsOfKind
from analytics.period import Period
from analytics.report.anomalies import Anomaly
from analytics.report.comparing import Comparison
from analytics.report.places import Listed
from analytics.shares import Share
from analytics.waits import Waits
from domain.conversions import DeliveryState, Money


class Advice(Protocol):
    """What to do about deliveries of that lane, state and reason ("" for none), in one line."""

    def __call__(self, lane: str, state: DeliveryState, reason: str) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """Deliveries that have not arrived: where to, why not, and what to do about it."""

    lane: str
    event: str
    state: DeliveryState
    reason: str
    events: int
    value: tuple[Money, ...]
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Deliveries through one lane. `failed` are rejected and dead; `delivered` is sent of all but the skipped ones."""

    lane: str
    sent: int
    pending: int
    failed: int
    skipped: int
    delivered: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Figures of a period, of one link or of all. All but `books` and `starts` are of the link, which those do not know.

    made_at_ms: the moment that all of it is of, UTC milliseconds. rolled_zone: the time zone that the rollups were cut by,
    None when nothing was rolled up yet. in_spools: clicks of the period that wait in spools.
    """

    period: Period
    made_at_ms: int
    slug: str | None
    rolled_zone: str | None
    totals: Totals
    books: PeriodBooks
    in_spools: int
    starts: tuple[StartsOfKind, ...]
    days: tuple[Day, ...]
    waits: Waits
    events: tuple[Sold, ...]
    lanes: tuple[Lane, ...]
    unsent: tuple[Unsent, ...]
    traits: tuple[Listed, ...]
    links: tuple[LinkFigures, ...]
    ads: tuple[AdFigures, ...]
    anomalies: tuple[Anomaly, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def faults(self) -> list[str]:
        """What does not hold in the books; empty when they balance."""
        return self.books.faults(self.in_spools)

    def started(self, kind: str) -> int:
        """Starts of that kind, of all bots."""
        return sum(each.starts for each in self.starts if each.kind == kind)

    @property
    def best(self) -> tuple[AdFigures, ...]:
        """The ads that sold most often, at most ten."""
        sold = sorted((ad for ad in self.ads if ad.earned.sales), key=_by_sales)
        return tuple(sold[:10])


def _by_sales(ad: AdFigures) -> tuple[int, int, int, bytes]:
    highest = max((money.micros for money in ad.earned.revenue), default=0)
    return -ad.earned.sales, -highest, ad.link_id, ad.ad_key


def unsent_with(advice: Advice, found: tuple[Delivered, ...]) -> tuple[Unsent, ...]:
    """Those that have not arrived, one for each lane, event, state and reason: those that were worth money first."""
    groups: dict[tuple[str, str, DeliveryState, str], list[Delivered]] = {}
    for each in unsent_of(found):
        groups.setdefault((each.lane, each.event, each.state, each.reason), []).append(each)
    made = [
        Unsent(
            lane=lane,
            event=event,
            state=state,
            reason=reason,
            events=sum(each.events for each in group),
            value=_values(group),
            advice=advice(lane, state, reason),
        )
        for (lane, event, state, reason), group in groups.items()
    ]
    return tuple(sorted(made, key=lambda each: (not each.value, -each.events)))


def _values(group: Iterable[Delivered]) -> tuple[Money, ...]:
    return tuple(each.money for each in group if each.money)


def lanes_of(found: tuple[Delivered, ...]) -> tuple[Lane, ...]:
    """One for each lane, in order."""
    return tuple(_lane(name, found) for name in sorted({each.lane for each in found}))


def _lane(name: str, found: tuple[Delivered, ...]) -> Lane:
    def of(*states: DeliveryState) -> int:
        return sum(each.events for each in found if each.lane == name and each.state in states)

    return Lane(
        lane=name,
        sent=of("sent"),
        pending=of("pending"),
        failed=of(*FAILED),
        skipped=of("skipped"),
        delivered=delivered_share(found, name),
    )
