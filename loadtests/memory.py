"""Memory: whether a daemon and its worker take more of it the more clicks they have seen, and what is left on the disk."""

from __future__ import annotations

import importlib
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtests.ad import HEADERS, PATH
from loadtests.bench import Bench, open_bench
from loadtests.children import Child
from loadtests.home import Home
from loadtests.machine import choose_pins, facts
from loadtests.plan import Plan, RungFailed, Say
from loadtests.steps import SPOOL_FILES
from loadtests.verdict import balance, faults_of

MEGABYTE = 1_000_000
SAMPLE_SECONDS = 1.0
SETTLE_SECONDS = 1800.0
ROWS = 10
GROWTH = 0.10
FLOOR = 24 * 1024 * 1024  # an empty file, and SQLite's log of at most 20 MiB
STALE_SECONDS = 6.0  # the daemon counts its spools every 5 s


@dataclass(frozen=True, slots=True)
class Look:
    """One look from outside: seconds since the start, clicks given out, resident bytes, bytes and records in the spools."""

    seconds: float
    clicks: int
    daemon: int
    worker: int
    spool: int
    waiting: int


@dataclass(slots=True, kw_only=True)
class MemoryReport:
    """What was seen. `loaded` looks were taken under load; the rest while the worker settled what was left."""

    machine: dict[str, object]
    answered: int
    loaded: list[Look]
    settling: list[Look]
    reasons: list[str] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Of the daemon under load: the median of the last tenth of the looks over that of the second, minus 1.

        The first tenth is its warming up: buffers, caches that are bounded, and what a full load holds at once.
        """
        tenth = max(1, len(self.loaded) // 10)
        early = statistics.median(look.daemon for look in self.loaded[tenth : 2 * tenth] or self.loaded)
        return statistics.median(look.daemon for look in self.loaded[-tenth:]) / early - 1

    @property
    def exit_code(self) -> int:
        """1 when a click was lost, or memory grew."""
        return int(bool(self.reasons))

    def judge(self) -> None:
        """Note what is wrong."""
        if self.growth > GROWTH:
            self.reasons.append(f"the daemon's memory grew by {self.growth:.0%} under load")
        if self.settling[-1].waiting:
            self.reasons.append(f"{self.settling[-1].waiting} entries are left in the spools")
        if self.settling[-1].spool > FLOOR:
            self.reasons.append(f"the spool keeps {self.settling[-1].spool / MEGABYTE:,.0f} MB of the disk")


def watch_memory(plan: Plan, clicks: int, say: Say) -> MemoryReport:
    """Put `clicks` redirects on one daemon as fast as it answers, its worker beside it; then let the worker finish.

    RungFailed when a process died or something else than a 302 was answered.
    """
    pins = choose_pins()
    say(pins.note)
    with open_bench(plan, pins) as bench:
        machine = facts(bench.folder, pins)
        valkey, home = bench.valkey(), bench.home("memory")
        daemon = home.serve(bench.children, pins.server, redis_url=valkey.url)
        worker = home.work(bench.children, pins.others)
        watch = _Watch(home, daemon, worker)
        with watch.looking():
            answered, runs = _load(bench, home, clicks, watch, say)
        loaded, watch.looks = watch.looks, []
        _settle(watch, say)
        report = MemoryReport(machine=machine, answered=answered, loaded=loaded, settling=watch.looks)
        daemon.end()
        worker.end()
        books = home.books()
        report.reasons += faults_of(books) or balance(
            "in SQL", books.stored, answered, runs * plan.connections
        )
        report.judge()
        return report


def _load(bench: Bench, home: Home, clicks: int, watch: _Watch, say: Say) -> tuple[int, int]:
    """How many were answered, in how many runs of the generator; each leaves what was under way unanswered."""
    answered = runs = 0
    while answered < clicks:
        runs += 1
        peak = bench.wrk.get(home.public, PATH, HEADERS, bench.plan.seconds)
        if peak.errors or not peak.requests:
            raise RungFailed(f"after {answered} clicks: {peak.errors or 'no answer'}")
        answered += peak.requests
        look = watch.looks[-1]
        say(
            f"{answered:>10,} of {clicks:,}   daemon {look.daemon / MEGABYTE:,.0f} MB   worker "
            f"{look.worker / MEGABYTE:,.0f} MB   spool {look.spool / MEGABYTE:,.0f} MB"
        )
    return answered, runs


def _settle(watch: _Watch, say: Say) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    said = 0.0
    time.sleep(STALE_SECONDS)
    while (look := watch.look()).waiting and time.monotonic() < deadline:
        if look.seconds > said + 10:
            said = look.seconds
            say(f"settling: {look.waiting:,} entries wait   spool {look.spool / MEGABYTE:,.0f} MB")
        time.sleep(SAMPLE_SECONDS)


class _Watch:
    """Looks at two processes and a folder."""

    def __init__(self, home: Home, daemon: Child, worker: Child) -> None:
        self._home = home
        self._daemon = daemon
        self._worker = worker
        self._began = time.monotonic()
        self.looks: list[Look] = []
        self.look()

    def look(self) -> Look:
        """One more look."""
        metrics = self._home.metrics()
        given_out = sum(n for name, n in metrics.items() if name.startswith("trilha_receipts_total{"))
        self.looks.append(
            Look(
                seconds=time.monotonic() - self._began,
                clicks=int(given_out),
                daemon=resident_bytes(self._daemon.pid),
                worker=resident_bytes(self._worker.pid),
                spool=self._home.size(*SPOOL_FILES),
                waiting=int(metrics.get("trilha_spool_entries", 0)),
            )
        )
        return self.looks[-1]

    @contextmanager
    def looking(self) -> Iterator[None]:
        """A look each second meanwhile, in a thread."""
        done = threading.Event()

        def run() -> None:
            while not done.wait(SAMPLE_SECONDS):
                self.look()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; RungFailed when it is gone, or the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
    except (OSError, StopIteration):
        raise RungFailed("a process is gone, or this system does not tell its memory") from None


def as_json(report: MemoryReport) -> dict[str, Any]:
    """One object for scripts. Bytes and seconds."""
    return {
        "machine": report.machine,
        "answered": report.answered,
        "growth": round(report.growth, 4),
        "failed": bool(report.exit_code),
        "reasons": report.reasons,
        "loaded": [asdict(look) for look in report.loaded],
        "settling": [asdict(look) for look in report.settling],
    }


def print_table(report: MemoryReport, console: Console | None = None) -> None:
    """Ten looks under load, and the last one."""
    out = console or Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("s", "clicks", "daemon MB", "worker MB", "spool MB", "entries waiting"):
        table.add_column(heading, justify="right", no_wrap=True)
    step = max(1, len(report.loaded) // ROWS)
    for look in [*report.loaded[::step], report.settling[0], report.settling[-1]]:
        sizes = [f"{size / MEGABYTE:,.1f}" for size in (look.daemon, look.worker, look.spool)]
        table.add_row(f"{look.seconds:,.0f}", f"{look.clicks:,}", *sizes, f"{look.waiting:,}")
    out.print(table)
    out.print(f"\n{report.answered:,} clicks answered; the daemon's memory under load: {report.growth:+.1%}")
    for reason in report.reasons:
        out.print(f"[bold red]FAILED[/] {reason}")


def save_memory_plot(report: MemoryReport, file: Path) -> None:
    """Memory of both processes above, bytes of the spool below, over the clicks and over the settling."""
    new_figure = importlib.import_module("matplotlib.figure").Figure
    figure = new_figure(figsize=(10, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    looks = report.loaded + report.settling
    at = [look.seconds for look in looks]
    above.plot(at, [look.daemon / MEGABYTE for look in looks], label="trilha serve", color="#4878a8")
    above.plot(at, [look.worker / MEGABYTE for look in looks], label="trilha work", color="#c0793f")
    below.plot(at, [look.spool / MEGABYTE for look in looks], label="spool on disk", color="#5b9b68")
    above.set_ylabel("resident memory, MB")
    below.set_ylabel("spool, MB")
    below.set_xlabel("seconds")
    for axes in (above, below):
        axes.set_ylim(bottom=0)
        axes.axvline(report.loaded[-1].seconds, color="#888888", linestyle=":")
        axes.legend(loc="upper left")
    above.set_title(f"{report.answered:,} clicks as fast as they are answered (dotted: the load ends)")
    figure.savefig(file, dpi=110)
