"""One measurement of one rung: first at the fixed rate, then as fast as it goes, each after a second of the same."""

from __future__ import annotations

from loadtests.bench import Bench, Server
from loadtests.home import metrics_of
from loadtests.openloop import Outcome
from loadtests.steps import Rung
from loadtests.use import Use
from loadtests.verdict import Latencies, Sample
from loadtests.wrk import Peak

_WRK = {
    "status": "a status of 400 or more",
    "connect": "a connection refused",
    "read": "a connection closed while reading",
    "write": "a connection closed while writing",
    "timeout": "no answer in 5 s",
}


def measure(bench: Bench, rung: Rung) -> Sample:
    """A measurement on a server of its own. The fixed rate comes before the peak, which leaves work behind.

    RungFailed when it cannot be had.
    """
    with rung.serving(bench) as server:
        load = rung.load(bench, server)
        promised = Promised(server if rung.compared else None)
        warm_steady, steady = load.warm_steady(), load.steady()
        on_disk_steady = promised.since()
        warm_peak = load.warm_peak()
        load.before_peak()
        use = Use(server.pid, server.valkey_pid, bench.pins)
        peak = load.peak()
        cpu, foreign = use.end()
        on_disk_peak = promised.since()
    return Sample(
        answered=warm_steady.answered + steady.answered + warm_peak.requests + peak.requests,
        spare=2 * bench.plan.connections + warm_steady.errors + steady.errors,
        peak=peak,
        rate=load.rate,
        steady=Latencies.of(steady.latencies),
        late_p99=Latencies.of(steady.late).p99,
        cpu_us=cpu * 1e6 / peak.requests if cpu is not None and peak.requests else None,
        foreign=foreign,
        on_disk_steady=on_disk_steady,
        on_disk_peak=on_disk_peak,
        redis_bytes=server.redis_bytes,
        stored=server.stored,
        complaints=[
            *outcome_complaints("warm-up at the fixed rate", warm_steady, status=load.status),
            *outcome_complaints("fixed rate", steady, status=load.status),
            *peak_complaints("warm-up of the peak", warm_peak),
            *peak_complaints("peak", peak),
            *server.complaints,
        ],
    )


class Promised:
    """The share of clicks that were on the disk before their 302, as a daemon's own counters say."""

    def __init__(self, server: Server | None) -> None:
        self._private = server.private if server else 0
        self._before = self._now()

    def since(self) -> float | None:
        """Since the last look; None for a server that promises nothing."""
        synced, given_out = self._now()
        synced, given_out = synced - self._before[0], given_out - self._before[1]
        self._before = self._before[0] + synced, self._before[1] + given_out
        return synced / given_out if given_out else None

    def _now(self) -> tuple[float, float]:
        if not self._private:
            return 0, 0
        metrics = metrics_of(self._private)
        receipts = {
            name: value for name, value in metrics.items() if name.startswith("trilha_receipts_total{")
        }
        synced = sum(value for name, value in receipts.items() if 'durability="synced"' in name)
        return synced, sum(receipts.values())


def peak_complaints(name: str, run: Peak) -> list[str]:
    """What wrk says against a run."""
    found = [f"{name}: {count} x {_WRK[kind]}" for kind, count in run.errors.items()]
    found += [f"{name}: no request was answered"] if not run.requests else []
    return found + ([f"{name}: more starts were asked for than there were tokens"] if run.ran_out else [])


def outcome_complaints(name: str, run: Outcome, *, status: int) -> list[str]:
    """What the open loop says against a run whose answers all were to have one status."""
    strays = {code: count for code, count in run.statuses.items() if code != status}
    found = [f"{name}: {count} x status {code}" for code, count in sorted(strays.items())]
    return found + ([f"{name}: {run.errors} x no answer"] if run.errors else [])
