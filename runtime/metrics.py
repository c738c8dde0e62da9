"""Metrics: the Observer that Prometheus reads. Labels come from closed sets; none is personal."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from domain.observations import RedirectOutcome
from domain.outcomes import Receipt

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0)
STATES = {"closed": 0, "half_open": 1, "open": 2}


class Metrics:
    """One registry per process. Every metric is described in docs/reference/metrics.md; a test holds the two equal."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        at = self.registry
        self._redirects = Counter("trilha_redirects", "Answers of /go", ["outcome"], registry=at)
        self._seconds = Histogram(
            "trilha_redirect_seconds", "Time to answer /go", buckets=SECONDS, registry=at
        )
        self._receipts = Counter(
            "trilha_receipts", "Clicks by what was promised", ["durability", "visible"], registry=at
        )
        self._tiers = Counter(
            "trilha_tier_calls", "Calls of stores", ["tier", "operation", "outcome"], registry=at
        )
        self._breakers = Gauge("trilha_breaker", "0 closed, 1 half-open, 2 open", ["tier"], registry=at)
        self._ring = Gauge("trilha_ring_waiting", "Clicks in memory that no store has", registry=at)
        self._dropped = Counter("trilha_ring_dropped", "Clicks lost because the ring was full", registry=at)
        self._records = Gauge("trilha_spool_records", "Records waiting in this daemon's spool", registry=at)
        self._bytes = Gauge("trilha_spool_bytes", "Size of this daemon's spool on disk", registry=at)
        self._starts = Counter("trilha_starts", "Starts by kind and state", ["kind", "state"], registry=at)

    def redirect(self, outcome: RedirectOutcome, seconds: float) -> None:
        """One answer of /go."""
        self._redirects.labels(outcome).inc()
        self._seconds.observe(seconds)

    def receipt(self, receipt: Receipt) -> None:
        """What was promised for one click."""
        self._receipts.labels(receipt.durability.value, "yes" if receipt.visible else "no").inc()

    def tier(self, tier: str, operation: str, outcome: str) -> None:
        """One call of a store."""
        self._tiers.labels(tier, operation, outcome).inc()

    def breaker(self, tier: str, state: str) -> None:
        """A breaker changed."""
        self._breakers.labels(tier).set(STATES[state])

    def ring(self, waiting: int, dropped: int) -> None:
        """The ring changed."""
        self._ring.set(waiting)
        self._dropped.inc(dropped)

    def backlog(self, records: int, volume: int) -> None:
        """What waits in the spools."""
        self._records.set(records)
        self._bytes.set(volume)

    def start(self, kind: str, state: str) -> None:
        """One start."""
        self._starts.labels(kind, state).inc()

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
