"""The rungs: how each one's server is started, ended and asked what it has stored."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import ClassVar

from loadtests.bench import Bench, Clicks, Server, Starts
from loadtests.children import clean_environment, free_port, listens
from loadtests.home import Books, Home
from loadtests.plan import HOST, REDIS_URL, ROOT
from loadtests.settling import SQL_FILES, Settling, settle
from loadtests.valkey import Valkey

SPOOL_FILES = ("spool/**/*",)


class Rung(ABC):
    """One step of the ladder. `compared`: it answers the same request as `bare`."""

    compared: ClassVar[bool] = True
    load: ClassVar[type[Clicks | Starts]] = Clicks

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def serving(self, bench: Bench) -> AbstractContextManager[Server]:
        """Its server, pinned and ready; ended in an orderly way at the end. RungFailed."""


class AppRung(Rung):
    """A small app of rungs.py under uvicorn."""

    def __init__(self, name: str, *options: str, keeps: bool = False) -> None:
        super().__init__(name)
        self._options = options
        self._keeps = keeps

    @contextmanager
    def serving(self, bench: Bench) -> Iterator[Server]:
        with _valkey(bench) if self._keeps else nullcontext() as valkey:
            port = free_port()
            child = bench.children.start(
                self._command(port),
                core=bench.pins.server,
                log=bench.folder / f"{self.name}.log",
                env=clean_environment() | {REDIS_URL: valkey.url if valkey else ""},
            )
            try:
                child.wait_until(lambda: listens(port))
                server = Server(child.pid, port, valkey_pid=valkey.pid if valkey else 0)
                yield server
                child.end()
            finally:
                child.kill()
            if valkey is not None:
                server.stored, server.redis_bytes = valkey.clicks(), valkey.bytes_per_click()

    def _command(self, port: int) -> list[str]:
        app = [sys.executable, "-m", "uvicorn", f"loadtests.rungs:{self.name}", "--app-dir", str(ROOT)]
        where = ["--host", HOST, "--port", str(port)]
        return [
            *app,
            *where,
            "--loop",
            "uvloop",
            "--http",
            "httptools",
            "--log-level",
            "warning",
            *self._options,
        ]


class TrilhaRung(Rung):
    """`trilha serve` on a home of its own, with every store up, or with one that is dead."""

    def __init__(
        self, name: str, *, ack: str = "durable", redis_dies: bool = False, sql_dead: bool = False
    ) -> None:
        super().__init__(name)
        self._ack = ack
        self._redis_dies = redis_dies
        self._sql_dead = sql_dead
        self._made: Home | None = None
        self._sql_before = 0
        self._settling: Settling | None = None

    def home(self, bench: Bench) -> Home:
        """Its home, made at the first call."""
        if self._made is None:
            self._made = bench.home(self.name, ack=self._ack)
            self._sql_before = self._made.size(*SQL_FILES)
        return self._made

    @contextmanager
    def serving(self, bench: Bench) -> Iterator[Server]:
        home = self.home(bench)
        api_key = self._api_key(home)
        settings = {"sql_url": f"postgresql+asyncpg://{HOST}:{free_port()}/x"} if self._sql_dead else {}
        with _valkey(bench) as valkey:
            child = home.serve(bench.children, bench.pins.server, redis_url=valkey.url, **settings)
            try:
                if self._redis_dies:
                    valkey.kill()
                server = Server(child.pid, home.public, home.private, api_key, valkey.pid)
                yield server
                metrics = home.metrics()
                server.complaints += complaints_of(metrics)
                self._after(metrics)
                child.end()
            finally:
                child.kill()
            if not self._redis_dies:
                server.redis_bytes = valkey.bytes_per_click()

    def _api_key(self, home: Home) -> str:  # noqa: ARG002  only some loads need one
        """A key for the private listener. A running daemon learns of a new one within a minute, so it comes first."""
        return ""

    def _after(self, metrics: dict[str, float]) -> None:
        """What else the daemon's counters tell before it ends."""

    def books(self, bench: Bench) -> Books:
        """The books. Clicks that SQL took directly may be in the spool too: then they are counted after settling."""
        books = self.home(bench).books()
        if books.direct and books.in_spools:
            self.settle(bench)
            books = self.home(bench).books()
        return books

    def stored(self, books: Books) -> int:
        """How many of what was answered are in a store."""
        return books.stored

    def spool_bytes(self, bench: Bench) -> int:
        """Size of the spool's files."""
        return self.home(bench).size(*SPOOL_FILES)

    def settle(self, bench: Bench) -> Settling:
        """Let the worker move everything into SQL, once. RungFailed."""
        if self._settling is None:
            home, core = self.home(bench), bench.pins.server
            self._settling = settle(home, bench.children, core, sql_before=self._sql_before)
        return self._settling


class StartsRung(TrilhaRung):
    """`POST /v1/starts` on the private listener of a durable `trilha serve`."""

    compared = False
    load = Starts

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._key = ""
        self._deferred = 0.0

    def books(self, bench: Bench) -> Books:
        """The books; starts that were kept for later have their owners only after settling."""
        if self._deferred:
            self.settle(bench)
        return self.home(bench).books()

    def stored(self, books: Books) -> int:
        return books.started

    def _api_key(self, home: Home) -> str:
        self._key = self._key or home.api_key()
        return self._key

    def _after(self, metrics: dict[str, float]) -> None:
        starts = [name for name in metrics if name.startswith("trilha_starts_total{")]
        self._deferred += sum(metrics[name] for name in starts if 'state="deferred"' in name)


def complaints_of(metrics: dict[str, float], *, but: tuple[str, ...] = ()) -> list[str]:
    """What a daemon's own counters say against it: a click that was dropped, an answer of /go that was no redirect.

    `but`: outcomes besides that were asked for.
    """
    good = {f'trilha_redirects_total{{outcome="{outcome}"}}' for outcome in ("redirected", *but)}
    wrong = [
        name
        for name in metrics
        if name.startswith("trilha_redirects_total{") and name not in good and metrics[name]
    ]
    dropped = metrics.get("trilha_ring_dropped_total", 0)
    found = [f"{metrics[name]:.0f} x {name}" for name in wrong]
    return found + ([f"{dropped:.0f} clicks dropped from the ring"] if dropped else [])


@contextmanager
def _valkey(bench: Bench) -> Iterator[Valkey]:
    valkey = bench.valkey()
    try:
        yield valkey
    finally:
        valkey.kill()


def all_rungs() -> list[Rung]:
    """The ladder, from the bottom to the top."""
    return [
        AppRung("raw", "--no-access-log"),
        AppRung("bare"),
        AppRung("naive", "--factory", keeps=True),
        TrilhaRung("chain", ack="chain"),
        TrilhaRung("durable"),
        TrilhaRung("durable, Redis dead", redis_dies=True),
        TrilhaRung("durable, SQL dead", sql_dead=True),
        StartsRung("POST /v1/starts"),
    ]
