"""Metrics: the Observer that Prometheus reads. Labels come from closed sets; none is personal.

Counting happens on every request, so it is an addition in a dict; families are made of it when Prometheus asks. Each
label's set is written here, and a value that is not in it is counted as `other`: no text of a stranger becomes a label.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from domain.alerts import CHANNELS, RULES, TOLD
from domain.conversions import LEAD, PAGE_VIEW, PURCHASE, VIEW_CONTENT
from domain.observations import RedirectOutcome
from domain.outcomes import Durability, Receipt

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0)
STATES = {"closed": 0, "half_open": 1, "open": 2}
TIERS = ("redis", "disk", "sql")
BREAKERS = (*TIERS, "ledger")
OPERATIONS = ("put", "find", "probe")
ANSWERS = ("ok", "failed", "skipped", "rejected")
STARTS = ("attributed", "direct", "taken", "unknown")
START_STATES = ("settled", "deferred")
EVENTS = (PAGE_VIEW, VIEW_CONTENT, LEAD, PURCHASE)
REPORTS = ("pending", "skipped", "dead", "deferred", "repeated")
REPLIES = ("sent", "refused")
HEALTHS = ("unknown", "ok", "banned", "revoked", "renamed")
DELIVERIES = ("sent", "rejected", "dead", "skipped", "postponed")
CALLS = ("accepted", "event", "configuration", "throttled", "temporary")
LISTENERS = ("public", "private")
CLOSED = ("idle", "slow_head", "slow_body", "crowded", "crowded_address", "refused", "too_large", "invalid")
SHED = ("later", "token")
API_REFUSED = ("key", "address", "total")
LANES = ("ok", "backing_off", "held")
OTHER = "other"
UNKNOWN_STATE = -1
Labels = tuple[str, ...]
C = TypeVar("C", bound="_Count | _Seconds")


class _Count:
    """A counter or a gauge by labels, each with the values that it may have."""

    def __init__(
        self,
        family: type[CounterMetricFamily | GaugeMetricFamily],
        name: str,
        says: str,
        **labels: Iterable[str],
    ) -> None:
        self._family, self._name, self._says = family, name, says
        self.labels = tuple(labels)
        self._known = [frozenset(values) for values in labels.values()]
        self._values: defaultdict[Labels, float] = defaultdict(float)
        if not labels:
            self._values[()] = 0.0

    def add(self, number: float, *labels: str) -> None:
        """Count."""
        self._values[labels if labels in self._values else self._closed(labels)] += number

    def set(self, number: float, *labels: str) -> None:
        """Show this number from now on."""
        self._values[labels if labels in self._values else self._closed(labels)] = number

    def _closed(self, labels: Labels) -> Labels:
        return tuple(
            value if value in known else OTHER for value, known in zip(labels, self._known, strict=True)
        )

    def collect(self) -> Iterable[Metric]:
        """The family as it is now."""
        family = self._family(self._name, self._says, labels=self.labels)
        for values, number in self._values.items():
            family.add_metric(values, number)
        return [family]

    def describe(self) -> Iterable[Metric]:
        """The family, for the registry."""
        return self.collect()


class _Seconds:
    """A histogram without labels."""

    labels: Labels = ()

    def __init__(self, name: str, says: str) -> None:
        self._name, self._says = name, says
        self._buckets = [0] * (len(SECONDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """One duration."""
        self._buckets[bisect_left(SECONDS, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterable[Metric]:
        """The family as it is now."""
        return [
            HistogramMetricFamily(
                self._name, self._says, buckets=list(self._cumulative()), sum_value=self._sum
            )
        ]

    def describe(self) -> Iterable[Metric]:
        """The family, for the registry."""
        return self.collect()

    def _cumulative(self) -> Iterator[tuple[str, float]]:
        total = 0
        for limit, number in zip((*map(str, SECONDS), "+Inf"), self._buckets, strict=True):
            total += number
            yield limit, total


class Metrics:
    """One registry per process. Every metric is described in docs/reference/metrics.md; a test holds the two equal."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        count, gauge = CounterMetricFamily, GaugeMetricFamily
        self._redirects = self._new(
            _Count(count, "trilha_redirects", "Answers of /go", outcome=get_args(RedirectOutcome))
        )
        self._seconds = self._new(_Seconds("trilha_redirect_seconds", "Time to answer /go"))
        self._receipts = self._new(
            _Count(
                count,
                "trilha_receipts",
                "Clicks by what was promised",
                durability=[*Durability],
                visible=("yes", "no"),
            )
        )
        self._tiers = self._new(
            _Count(
                count,
                "trilha_tier_calls",
                "Calls of stores",
                tier=TIERS,
                operation=OPERATIONS,
                outcome=ANSWERS,
            )
        )
        self._breakers = self._new(
            _Count(gauge, "trilha_breaker", "0 closed, 1 half-open, 2 open", tier=BREAKERS)
        )
        self._opened = self._new(
            _Count(count, "trilha_breaker_opened", "Times a breaker opened", tier=BREAKERS)
        )
        self._away: set[str] = set()  # whose breaker is not closed
        self._ring = self._new(_Count(gauge, "trilha_ring_waiting", "Clicks in memory that no store has"))
        self._dropped = self._new(
            _Count(count, "trilha_ring_dropped", "Clicks lost because the ring was full")
        )
        self._records = self._new(_Count(gauge, "trilha_spool_entries", "Entries waiting in the spools"))
        self._bytes = self._new(_Count(gauge, "trilha_spool_bytes", "Size of the spools on disk"))
        self._full = self._new(_Count(gauge, "trilha_spool_full_ratio", "Share of the spools' quota in use"))
        self._starts = self._new(
            _Count(count, "trilha_starts", "Starts by kind and state", kind=STARTS, state=START_STATES)
        )
        self._conversions = self._new(
            _Count(count, "trilha_conversions", "Conversions reported to us", event=EVENTS, state=REPORTS)
        )
        self._replies = self._new(_Count(count, "trilha_replies", "Answers to starts", outcome=REPLIES))
        self._reply_seconds = self._new(
            _Seconds("trilha_reply_seconds", "Time from a start to the end of its answer")
        )
        self._recovered = self._new(
            _Count(count, "trilha_bot_recovered", "Updates that Telegram had to be asked for")
        )
        self._reopened = self._new(
            _Count(count, "trilha_bot_reopened", "Lines to Telegram that broke and were opened again")
        )
        self._bots = self._new(_Count(gauge, "trilha_bots", "Bots of this worker by health", health=HEALTHS))
        self._deliveries = self._new(
            _Count(count, "trilha_deliveries", "Deliveries by what became of them", outcome=DELIVERIES)
        )
        self._calls = self._new(
            _Count(count, "trilha_delivery_calls", "Calls of destinations by their answer", answer=CALLS)
        )
        self._pending = self._new(_Count(gauge, "trilha_deliveries_pending", "Deliveries that wait"))
        self._oldest = self._new(
            _Count(gauge, "trilha_delivery_oldest_seconds", "Age of the oldest conversion that waits")
        )
        self._lanes = self._new(_Count(gauge, "trilha_lanes", "Lanes by how they are", state=LANES))
        self._folded = self._new(_Count(count, "trilha_rollup_folded", "Changes folded into the rollups"))
        self._unfolded = self._new(_Count(gauge, "trilha_rollup_waiting", "Changes that wait to be folded"))
        self._leader = self._new(_Count(gauge, "trilha_leader", "Whether this worker is the leader"))
        self._firing = self._new(
            _Count(gauge, "trilha_alert_firing", "Alerts of a rule that fire", rule=RULES)
        )
        self._measured = self._new(
            _Count(gauge, "trilha_alert_measured", "The worst that a rule measures now", rule=RULES)
        )
        self._told = self._new(
            _Count(count, "trilha_alerts_told", "Messages of alerts", channel=CHANNELS, outcome=TOLD)
        )
        self._connections = self._new(
            _Count(gauge, "trilha_connections", "Open connections", listener=LISTENERS)
        )
        self._closed = self._new(
            _Count(
                count,
                "trilha_connections_closed",
                "Connections closed on us",
                listener=LISTENERS,
                reason=CLOSED,
            )
        )
        self._shed = self._new(
            _Count(count, "trilha_redirects_shed", "Redirects that kept less under load", level=SHED)
        )
        self._refused = self._new(
            _Count(count, "trilha_api_refused", "Calls of the API over a limit", reason=API_REFUSED)
        )

    def redirect(self, outcome: RedirectOutcome, seconds: float) -> None:
        """One answer of /go."""
        self._redirects.add(1, outcome)
        self._seconds.observe(seconds)

    def receipt(self, receipt: Receipt, clicks: int) -> None:
        """What was promised for some clicks."""
        self._receipts.add(clicks, receipt.durability.value, "yes" if receipt.visible else "no")

    def tier(self, tier: str, operation: str, outcome: str) -> None:
        """One call of a store."""
        self._tiers.add(1, tier, operation, outcome)

    def breaker(self, tier: str, state: str) -> None:
        """A breaker changed. After a probe that failed it is open as before, and has not opened once more."""
        self._breakers.set(STATES.get(state, UNKNOWN_STATE), tier)
        self._opened.add(state == "open" and tier not in self._away, tier)
        (self._away.discard if state == "closed" else self._away.add)(tier)

    def ring(self, waiting: int, dropped: int) -> None:
        """The ring changed."""
        self._ring.set(waiting)
        self._dropped.add(dropped)

    def backlog(self, entries: int, volume: int, quota: int) -> None:
        """What waits in the spools."""
        self._records.set(entries)
        self._bytes.set(volume)
        self._full.set(round(volume / quota, 4))

    def start(self, kind: str, state: str) -> None:
        """One start."""
        self._starts.add(1, kind, state)

    def conversion(self, event: str, state: str) -> None:
        """One conversion that was reported."""
        self._conversions.add(1, event, state)

    def reply(self, outcome: str, seconds: float) -> None:
        """One answer to a start."""
        self._replies.add(1, outcome)
        self._reply_seconds.observe(seconds)

    def recovered(self, updates: int) -> None:
        """Updates that were missed and then asked for."""
        self._recovered.add(updates)

    def reopened(self) -> None:
        """A line to Telegram broke, and is opened again."""
        self._reopened.add(1)

    def bots(self, by_health: Mapping[str, int]) -> None:
        """The bots of this worker."""
        for health in HEALTHS:
            self._bots.set(by_health.get(health, 0), health)

    def delivery(self, outcome: str, events: int) -> None:
        """What became of some deliveries."""
        self._deliveries.add(events, outcome)

    def delivery_call(self, answer: str) -> None:
        """One call of a destination."""
        self._calls.add(1, answer)

    def waiting(self, pending: int, oldest_seconds: float) -> None:
        """What the lanes hold."""
        self._pending.set(pending)
        self._oldest.set(oldest_seconds)

    def lanes(self, by_state: Mapping[str, int]) -> None:
        """How the lanes are."""
        for state in LANES:
            self._lanes.set(by_state.get(state, 0), state)

    def rollups(self, folded: int, waiting: int) -> None:
        """One fold, and what it has left."""
        self._folded.add(folded)
        self._unfolded.set(waiting)

    def leader(self, *, leads: bool) -> None:
        """Whether it leads now."""
        self._leader.set(leads)

    def alert(self, rule: str, firing: int, measured: float) -> None:
        """How a rule stands."""
        self._firing.set(firing, rule)
        self._measured.set(measured, rule)

    def alert_told(self, channel: str, outcome: str) -> None:
        """What became of a message of an alert."""
        self._told.add(1, channel, outcome)

    def connections(self, listener: str, count: int) -> None:
        """So many are open."""
        self._connections.set(count, listener)

    def connection_closed(self, listener: str, reason: str) -> None:
        """We have closed one."""
        self._closed.add(1, listener, reason)

    def shed(self, level: str) -> None:
        """A redirect kept less than it would have, because there are too many."""
        self._shed.add(1, level)

    def api_refused(self, reason: str) -> None:
        """A call was over a limit."""
        self._refused.add(1, reason)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)

    def _new(self, collector: C) -> C:
        self.registry.register(collector)
        return collector
