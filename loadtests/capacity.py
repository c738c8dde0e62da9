"""What this machine is good for: one core, and one click in each store, as they are measured."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from loadtests.ad import BOT, SLUG, click_bytes, start_bytes, start_headers
from loadtests.bench import Bench, Clicks, Server, open_bench
from loadtests.children import Child
from loadtests.home import Home
from loadtests.machine import choose_pins, facts
from loadtests.openloop import OpenLoop, Outcome
from loadtests.plan import HOST, Plan, RungFailed, Say
from loadtests.settling import Settling, settle
from loadtests.sizing import DAYS, Figures, Need, needs
from loadtests.steps import TrilhaRung
from loadtests.use import cpu_seconds
from loadtests.verdict import balance, faults_of
from loadtests.wrk import Peak

PIXEL = "1234567890"
CLICK_RATE = 500
API_RATE = 100  # starts and conversions a second: SQLite commits each by itself
GRACE = 120.0
SETTLED = "trilha.db"
LOOK_SECONDS = 1.0
START_LOOKS = 20
IDLE_CPU = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """A PostgreSQL that was started for this. `data`: its folder, whose files are weighed."""

    url: str
    data: Path

    def size(self) -> int:
        """Bytes of all tables and indexes, without the write-ahead log."""
        return sum(file.stat().st_size for file in (self.data / "base").rglob("*") if file.is_file())


@dataclass(slots=True, kw_only=True)
class Capacity:
    """The figures, the sheet made of them, and what was wrong meanwhile."""

    machine: dict[str, object]
    figures: Figures
    sheet: list[Need]
    reasons: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """1 when a click was lost: then no figure is worth anything."""
        return int(bool(self.reasons))


@dataclass(slots=True, kw_only=True)
class _Seen:
    reasons: list[str] = field(default_factory=list)


def measure_capacity(plan: Plan, conversions: int, postgres: Postgres | None, say: Say) -> Capacity:
    """Measure, one store after the other. RungFailed when something does not start, answer or end."""
    pins = choose_pins()
    say(pins.note)
    seen = _Seen()
    with open_bench(plan, pins) as bench:
        machine = facts(bench.folder, pins)
        sqlite = _sqlite(bench, seen, say)
        rows = _postgres(bench, postgres, seen, say) if postgres else {}
        outbox = _outbox(bench, conversions, seen, say)
    figures = Figures(**sqlite, **rows, **outbox)
    return Capacity(machine=machine, figures=figures, sheet=needs(figures), reasons=seen.reasons)


def _sqlite(bench: Bench, seen: _Seen, say: Say) -> dict[str, float]:
    """Redirects as fast as one core answers; what a click takes in Redis, in the spool and in SQLite."""
    say("clicks on one core")
    rung = TrilhaRung("durable")
    with rung.serving(bench) as server:
        load = Clicks(bench, server)
        answered, spare = _warm(load, bench)
        before = _cpu(server)
        peak = load.peak()
        serve_cpu, redis_cpu = (now - then for now, then in zip(_cpu(server), before, strict=True))
    seen.reasons += _errors(peak) + server.complaints
    say(f"{peak.rate:,.0f} clicks/s; settling them into SQLite")
    held = rung.spool_bytes(bench)
    books = rung.books(bench)
    spool = held / max(1, books.spooled)
    settling = rung.settle(bench)
    books = rung.books(bench)
    seen.reasons += faults_of(books) or balance("in SQLite", books.stored, answered + peak.requests, spare)
    return {
        "serve_rate": peak.rate,
        "serve_us": serve_cpu * 1e6 / peak.requests,
        "redis_us": redis_cpu * 1e6 / peak.requests,
        "redis_bytes": server.redis_bytes or 0.0,
        "spool_bytes": spool,
        "settle_sqlite_us": _settle_us(bench, rung.home(bench), settling),
        "sqlite_bytes": settling.bytes_per_click,
    }


def _postgres(bench: Bench, postgres: Postgres, seen: _Seen, say: Say) -> dict[str, float]:
    """The same clicks into PostgreSQL: how fast one worker settles them, and how its files grow."""
    say("clicks for PostgreSQL")
    home = Home(bench.folder / "postgres", sql_url=postgres.url)
    home.prepare(bench.children, bench.pins.server)
    empty = postgres.size()
    valkey = bench.valkey()
    serve = home.serve(bench.children, bench.pins.server, redis_url=valkey.url)
    try:
        server = Server(serve.pid, home.public, home.private, valkey_pid=valkey.pid)
        peak = Clicks(bench, server).peak()
        serve.end()
    finally:
        serve.kill()
        valkey.kill()
    say(f"settling {peak.requests:,} into PostgreSQL")
    settling = settle(home, bench.children, bench.pins.server, sql_before=0)
    books = home.books()
    seen.reasons += (
        _errors(peak)
        + faults_of(books)
        + balance("in PostgreSQL", books.stored, peak.requests, bench.plan.connections)
    )
    return {
        "settle_postgres_us": _settle_us(bench, home, settling),
        "postgres_bytes": (postgres.size() - empty) / max(1, books.stored),
    }


def _settle_us(bench: Bench, home: Home, settling: Settling) -> float:
    """Microseconds of CPU for each row: what the worker took, less what it takes to start and find nothing."""
    worker = home.work(bench.children, bench.pins.server)
    try:
        idle = _when_idle(worker)
        worker.end()
    finally:
        worker.kill()
    return max(0.0, (settling.cpu or 0.0) - idle) * 1e6 / max(1, settling.rows)


def _when_idle(worker: Child) -> float:
    """Seconds of CPU that it has taken once it takes no more of it."""
    taken = 0.0
    for _ in range(START_LOOKS):
        time.sleep(LOOK_SECONDS)
        now = cpu_seconds(worker.pid) or 0.0
        if taken > 0 and now - taken < IDLE_CPU:
            return now
        taken = now
    return taken


def _outbox(bench: Bench, number: int, seen: _Seen, say: Say) -> dict[str, float]:
    """Starts and conversions of a link with a pixel, weighed in SQLite's file once nobody has it open."""
    say(f"{number:,} starts and conversions")
    home = bench.home("outbox")
    home.run("pixel", "add", PIXEL)
    home.run("link", "edit", SLUG, "--pixel", PIXEL)
    key = home.api_key()
    tokens = _with_serve(bench, home, lambda: _clicked(home, number)).tokens
    settle(home, bench.children, bench.pins.server, sql_before=0)
    clicked = home.size(SETTLED)
    starts = [start_bytes(key, _start(token, at)) for at, token in enumerate(tokens)]
    outcome = _with_serve(bench, home, lambda: _posted(home, starts))
    seen.reasons += _not_200("starts", outcome)
    started = home.size(SETTLED)
    sales = [_sale(key, token, at) for at, token in enumerate(tokens)]
    outcome = _with_serve(bench, home, lambda: _posted(home, sales))
    seen.reasons += _not_200("conversions", outcome)
    return {
        "start_bytes": (started - clicked) / max(1, len(tokens)),
        "outbox_bytes": (home.size(SETTLED) - started) / max(1, len(tokens)),
    }


def _with_serve(bench: Bench, home: Home, work: Any) -> Outcome:
    """While `trilha serve` runs; it has closed its files afterwards."""
    serve = home.serve(bench.children, bench.pins.server)
    try:
        outcome: Outcome = work()
        serve.end()
    finally:
        serve.kill()
    return outcome


def _clicked(home: Home, number: int) -> Outcome:
    seconds = number / CLICK_RATE
    loop = OpenLoop(HOST, home.public, click_bytes(), CLICK_RATE, seconds, collect_tokens=True, grace=GRACE)
    outcome = uvloop.run(loop.run())
    if len(outcome.tokens) < number:
        raise RungFailed(f"only {len(outcome.tokens)} of {number} clicks got a token")
    time.sleep(1.0)  # what waits in memory goes into the spool within a commit
    return outcome


def _posted(home: Home, requests: list[bytes]) -> Outcome:
    loop = OpenLoop(HOST, home.private, requests, API_RATE, len(requests) / API_RATE, grace=GRACE)
    return uvloop.run(loop.run())


def _start(token: str, number: int) -> str:
    start = {"bot": BOT, "telegram_id": 1_000_000 + number, "token": token, "update_id": number}
    return json.dumps(start)


def _sale(key: str, token: str, number: int) -> bytes:
    """A purchase as a shop reports it."""
    sale = {
        "bot": BOT,
        "event": "Purchase",
        "token": token,
        "order_id": f"order-{number:09d}",
        "value": 97.9,
        "currency": "BRL",
        "email": f"buyer{number}@example.com",
        "phone": f"119{number:08d}",
        "first_name": "Ana",
        "last_name": "Souza",
        "contents": [{"id": "course-1", "quantity": 1, "item_price": 97.9}],
    }
    body = json.dumps(sale)
    given = start_headers(key) | {"Content-Length": str(len(body))}
    lines = ["POST /v1/conversions HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("ascii")


def _warm(load: Clicks, bench: Bench) -> tuple[int, int]:
    """How many were answered, and how many may be stored beyond those."""
    steady, peak = load.warm_steady(), load.warm_peak()
    return steady.answered + peak.requests, steady.errors + 2 * bench.plan.connections


def _cpu(server: Server) -> tuple[float, float]:
    return cpu_seconds(server.pid) or 0.0, cpu_seconds(server.valkey_pid) or 0.0


def _errors(peak: Peak) -> list[str]:
    return [f"{count} x {kind}" for kind, count in peak.errors.items()]


def _not_200(name: str, outcome: Outcome) -> list[str]:
    wrong = {status: count for status, count in outcome.statuses.items() if status != 200}
    return [f"{name}: {count} x {status}" for status, count in wrong.items()] + (
        [f"{name}: {outcome.errors} x no answer"] if outcome.errors else []
    )


def as_json(found: Capacity) -> dict[str, Any]:
    """One object for scripts: bytes, microseconds, clicks a second, and the sheet by clicks a day."""
    return {
        "machine": found.machine,
        "figures": asdict(found.figures),
        "days": list(DAYS),
        "sheet": [asdict(need) for need in found.sheet],
        "reasons": found.reasons,
    }


def print_sheet(found: Capacity, console: Console | None = None) -> None:
    """What was measured, the sheet, and how each line of it is reckoned."""
    out = console or Console(highlight=False, width=140)
    for name, value in asdict(found.figures).items():
        said = "not measured" if value is None else f"{value:,.0f}"
        out.print(f"{name.replace('_', ' '):20} {said:>12}")
    table = Table(box=None, pad_edge=False, header_style="bold", title="clicks a day", title_justify="right")
    for heading in ("", "", *(f"10^{len(str(day)) - 1}" for day in DAYS)):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for need in found.sheet:
        table.add_row(need.name, need.unit, *map(figure, need.values))
    out.print()
    out.print(table)
    out.print()
    for need in found.sheet:
        out.print(f"{need.name:24} = {need.formula}")
    for reason in found.reasons:
        out.print(f"[bold red]FAILED[/] {reason}")


def figure(value: float) -> str:
    """Two figures that count below 10, whole numbers above."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
