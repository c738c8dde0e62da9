"""The bench: where servers are started, on which core, and what is put on them."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from loadtests.ad import BOT, HEADERS, PATH, click_bytes, start_bytes, start_headers
from loadtests.children import Children
from loadtests.home import Home, metrics_of
from loadtests.machine import Pins, on_core
from loadtests.openloop import OpenLoop, Outcome
from loadtests.plan import HOST, Plan, RungFailed
from loadtests.valkey import Valkey
from loadtests.wrk import Peak, Wrk

WARM_SECONDS = 1
WARM_STARTS = 2000
GATHER_RATE = 1000
GATHER_GRACE = 60.0
CALM_SECONDS = 30.0
CLICKS_PER_START = 10  # at the fixed rate: one visitor in ten presses START
STEADY_GRACE = 30.0
STARTS = "/v1/starts"


@dataclass(slots=True)
class Server:
    """A server under measurement. What is known of it only once it has ended is filled in then."""

    pid: int
    port: int
    private: int = 0
    api_key: str = ""
    valkey_pid: int = 0
    stored: int | None = None
    redis_bytes: float | None = None
    complaints: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Bench:
    """What all rungs of a ladder share. This process is on the generator's core meanwhile."""

    plan: Plan
    pins: Pins
    folder: Path
    children: Children
    wrk: Wrk
    template: Home | None = None
    starts_asked: int = 0

    def home(self, name: str, **settings: str) -> Home:
        """A home of its own for a rung."""
        if self.template is None:
            shutil.rmtree(self.folder / "template", ignore_errors=True)  # of a first attempt that failed
            made = Home(self.folder / "template")
            made.prepare(self.children, self.pins.server)
            self.template = made
        return self.template.copy(self.folder / "".join(c if c.isalnum() else "-" for c in name), **settings)

    def valkey(self) -> Valkey:
        """An empty Valkey beside the generator."""
        return Valkey(self.plan.valkey, self.children, self.folder, self.pins.others)

    def open_loop(self, port: int, requests: bytes | list[bytes], rate: int, seconds: int) -> Outcome:
        """A fixed rate."""
        connections = self.plan.connections
        loop = OpenLoop(HOST, port, requests, rate, seconds, connections=connections, grace=STEADY_GRACE)
        return uvloop.run(loop.run())


@contextmanager
def open_bench(plan: Plan, pins: Pins) -> Iterator[Bench]:
    """A bench in a folder of its own. Afterwards neither a process nor a file of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="trilha-ladder-", dir=plan.folder))
    try:
        with Children() as children, on_core(pins.others):
            yield Bench(plan, pins, folder, children, Wrk(plan.wrk, folder, plan.connections))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Clicks:
    """The load of a redirect rung: the same click over and over."""

    status = 302

    def __init__(self, bench: Bench, server: Server) -> None:
        self._bench = bench
        self._server = server
        self.rate = bench.plan.rate

    def warm_steady(self) -> Outcome:
        """A second at the fixed rate, not measured."""
        return self._steady(WARM_SECONDS)

    def warm_peak(self) -> Peak:
        """A second as fast as it goes, not measured."""
        return self._bench.wrk.get(self._server.port, PATH, HEADERS, WARM_SECONDS)

    def before_peak(self) -> None:
        """Nothing has to be made ready."""

    def peak(self) -> Peak:
        """As fast as it goes."""
        return self._bench.wrk.get(self._server.port, PATH, HEADERS, self._bench.plan.seconds)

    def steady(self) -> Outcome:
        """At the fixed rate."""
        return self._steady(self._bench.plan.seconds)

    def _steady(self, seconds: int) -> Outcome:
        return self._bench.open_loop(self._server.port, click_bytes(), self.rate, seconds)


class Starts:
    """The load of the starts' rung: each start redeems a token of its own, of a click made just before."""

    status = 200

    def __init__(self, bench: Bench, server: Server) -> None:
        self._bench = bench
        self._server = server
        self.rate = max(1, bench.plan.rate // CLICKS_PER_START)
        self._expected = 0.0
        self._ready: list[str] = []

    def warm_steady(self) -> Outcome:
        """A second at the fixed rate, not measured."""
        return self._steady(WARM_SECONDS)

    def warm_peak(self) -> Peak:
        """A second as fast as it goes, which says how many tokens the peak will take."""
        peak = self._post(self._bodies(WARM_STARTS), WARM_SECONDS)
        self._expected = peak.rate
        return peak

    def before_peak(self) -> None:
        """Clicks for twice as many starts as the warm-up lets expect."""
        self._ready = self._bodies(max(1000, math.ceil(2 * self._expected * self._bench.plan.seconds)))

    def peak(self) -> Peak:
        """As fast as it goes."""
        return self._post(self._ready, self._bench.plan.seconds)

    def steady(self) -> Outcome:
        """At the fixed rate."""
        return self._steady(self._bench.plan.seconds)

    def _steady(self, seconds: int) -> Outcome:
        bodies = self._bodies(self.rate * seconds)
        requests = [start_bytes(self._server.api_key, body) for body in bodies]
        return self._bench.open_loop(self._server.private, requests, self.rate, seconds)

    def _post(self, bodies: list[str], seconds: int) -> Peak:
        headers = start_headers(self._server.api_key)
        return self._bench.wrk.post(self._server.private, STARTS, headers, bodies, seconds)

    def _bodies(self, count: int) -> list[str]:
        """Starts of that many new clicks, each by another person."""
        bodies = []
        for token in self._tokens(count):
            self._bench.starts_asked += 1
            number = self._bench.starts_asked
            start = {"bot": BOT, "telegram_id": 1_000_000 + number, "token": token, "update_id": number}
            bodies.append(json.dumps(start))
        return bodies

    def _tokens(self, count: int) -> list[str]:
        gather = OpenLoop(
            HOST,
            self._server.port,
            click_bytes(),
            GATHER_RATE,
            count / GATHER_RATE,
            collect_tokens=True,
            grace=GATHER_GRACE,
        )
        outcome = uvloop.run(gather.run())
        if len(set(outcome.tokens)) < count:
            raise RungFailed(f"only {len(set(outcome.tokens))} of {count} clicks to start from got a token")
        self._calm()
        return outcome.tokens

    def _calm(self) -> None:
        """Until no click waits in the daemon's memory: spooling them is not what is measured."""
        deadline = time.monotonic() + CALM_SECONDS
        while metrics_of(self._server.private).get("trilha_ring_waiting", 0) and time.monotonic() < deadline:
            time.sleep(0.1)
