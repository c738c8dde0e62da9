"""Settling: how fast the worker moves what the redirects have left into SQL, and what a click takes there."""

from __future__ import annotations

import time
from dataclasses import dataclass

from loadtests.children import Children
from loadtests.home import Home
from loadtests.plan import RungFailed
from loadtests.use import cpu_seconds

SETTLE_SECONDS = 120.0
SQL_FILES = ("trilha.db", "trilha.db-*")


@dataclass(frozen=True, slots=True)
class Settling:
    """What was moved. `bytes_per_click`: growth of the database's files by every click that is in it.

    `cpu`: seconds of it that the worker took, its start included; None where the system does not tell.
    """

    rows: int
    seconds: float
    rows_per_second: float
    bytes_per_click: float
    cpu: float | None = None


def settle(home: Home, children: Children, core: int | None, *, sql_before: int) -> Settling:
    """Run `trilha work` until nothing waits; RungFailed when that takes longer than 120 s."""
    first = home.books()
    worker = home.work(children, core)
    began = time.monotonic()
    looks = []
    try:
        while (books := home.books()).in_spools:
            looks.append((time.monotonic(), books.in_sql))
            if time.monotonic() - began > SETTLE_SECONDS or not worker.alive:
                raise RungFailed(f"{books.in_spools} records are not settled: {worker.tail()}")
        took = time.monotonic() - began
        cpu = cpu_seconds(worker.pid)
        worker.end()
    finally:
        worker.kill()
    rows = books.in_sql - first.in_sql
    grown = home.size(*SQL_FILES) - sql_before
    return Settling(
        rows=rows,
        seconds=took,
        rows_per_second=settling_rate(looks) or rows / took,
        bytes_per_click=grown / max(1, books.in_sql + books.direct),
        cpu=cpu,
    )


def settling_rate(looks: list[tuple[float, int]]) -> float | None:
    """Rows a second between the first and the last look; None when it was too quick for two of them."""
    if len(looks) < 2:
        return None
    (began, before), (ended, after) = looks[0], looks[-1]
    return (after - before) / (ended - began)
