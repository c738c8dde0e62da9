"""What so many clicks a day need: arithmetic over figures that were measured, each step of it shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

DAYS = tuple(10**power for power in range(5, 10))
DAY_SECONDS = 86_400
# shapes/day.toml: its busiest hour over the mean of its 24, and its bursts of 46/s over the 11.6/s of a million a day.
HOUR_FACTOR = 1.9
BURST_FACTOR = 4.0
USE = 0.5  # of a core that is used when all goes well: the rest is for a process that is gone, and for catching up
TTL_SECONDS = 180
OUTAGE_SECONDS = 6 * 3600
CLICK_DAYS = 396
SHORT_DAYS = 28
SHARD_BYTES = 8 * 1024**3  # of a Redis, half of which is used
CONVERSIONS = 0.03  # of clicks; each is kept as long as its click
GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one click takes: microseconds of CPU of each process, bytes in each store. Of PostgreSQL None where none was measured.

    `serve_rate`: clicks a second of the peak, by the clock; other programs on the machine lower it, and not the CPU.
    """

    serve_rate: float
    serve_us: float
    redis_us: float
    settle_sqlite_us: float
    redis_bytes: float
    spool_bytes: float
    sqlite_bytes: float
    start_bytes: float
    outbox_bytes: float
    settle_postgres_us: float | None = None
    postgres_bytes: float | None = None

    @property
    def settle_us(self) -> float:
        """Of the worker beside PostgreSQL where it was measured; what PostgreSQL takes itself is not in it."""
        return self.settle_postgres_us or self.settle_sqlite_us

    @property
    def sql_bytes(self) -> float:
        """Of PostgreSQL where it was measured."""
        return self.postgres_bytes or self.sqlite_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One line of the sheet: how it is reckoned, and what comes out for each number of clicks a day."""

    name: str
    unit: str
    formula: str
    values: tuple[float, ...]


def needs(of: Figures, days: Sequence[int] = DAYS) -> list[Need]:
    """The sheet. `mean`, `hour` and `burst` are clicks a second: of the day, its busiest hour, its bursts."""

    def line(name: str, unit: str, formula: str, value: Callable[[float], float]) -> Need:
        return Need(name=name, unit=unit, formula=formula, values=tuple(value(day) for day in days))

    return [
        line("mean", "clicks/s", f"day / {DAY_SECONDS:,} s", mean),
        line("hour", "clicks/s", f"mean x {HOUR_FACTOR}", hour),
        line("burst", "clicks/s", f"mean x {BURST_FACTOR:g}", burst),
        line(
            "serve: cores",
            "",
            f"burst x {of.serve_us:,.0f} us / {USE}",
            lambda day: cores(burst(day), of.serve_us),
        ),
        line(
            "serve: processes",
            "",
            "cores, rounded up; 2 at least, so that one may be gone",
            lambda day: processes(of, day),
        ),
        line(
            "work: cores",
            "",
            f"hour x {of.settle_us:,.0f} us / {USE}",
            lambda day: cores(hour(day), of.settle_us),
        ),
        line(
            "Redis: memory",
            "GiB",
            f"burst x {TTL_SECONDS} s x {of.redis_bytes:,.0f} B",
            lambda day: redis_bytes(of, day) / GIB,
        ),
        line(
            "Redis: cores",
            "",
            f"burst x {of.redis_us:.0f} us / {USE}",
            lambda day: cores(burst(day), of.redis_us),
        ),
        line(
            "Redis: shards",
            "",
            f"the larger of memory / ({SHARD_BYTES / GIB:.0f} GiB x {USE}) and cores; more than one: 3 at least",
            lambda day: shards(of, day),
        ),
        line(
            "spool: 6 h without SQL",
            "GiB",
            f"hour x {OUTAGE_SECONDS:,} s x {of.spool_bytes:,.0f} B, over all machines",
            lambda day: hour(day) * OUTAGE_SECONDS * of.spool_bytes / GIB,
        ),
        line(
            "spool: of one process",
            "GiB",
            "the same / processes: what TRILHA_SPOOL_QUOTA has to allow",
            lambda day: hour(day) * OUTAGE_SECONDS * of.spool_bytes / GIB / processes(of, day),
        ),
        line("SQL: rows", "rows/s", "hour", hour),
        line(
            "SQL: written",
            "MiB/s",
            f"hour x {of.sql_bytes:,.0f} B, without WAL",
            lambda day: hour(day) * of.sql_bytes / 1024**2,
        ),
        line(
            "SQL: 28 days",
            "GiB",
            f"day x {SHORT_DAYS} x {of.sql_bytes:,.0f} B",
            lambda day: day * SHORT_DAYS * of.sql_bytes / GIB,
        ),
        line(
            "SQL: 13 months",
            "GiB",
            f"day x {CLICK_DAYS} x {of.sql_bytes:,.0f} B",
            lambda day: day * CLICK_DAYS * of.sql_bytes / GIB,
        ),
        line(
            "outbox: 13 months",
            "GiB",
            f"day x {CLICK_DAYS} x {CONVERSIONS:.0%} x {of.outbox_bytes:,.0f} B",
            lambda day: day * CLICK_DAYS * CONVERSIONS * of.outbox_bytes / GIB,
        ),
    ]


def mean(day: float) -> float:
    """Clicks a second over the whole day."""
    return day / DAY_SECONDS


def hour(day: float) -> float:
    """Clicks a second in the busiest hour."""
    return mean(day) * HOUR_FACTOR


def burst(day: float) -> float:
    """Clicks a second for some seconds."""
    return mean(day) * BURST_FACTOR


def cores(rate: float, microseconds: float) -> float:
    """Cores for so many a second, each taking that long, when no more than `USE` of a core is to be used."""
    return rate * microseconds / 1e6 / USE


def processes(of: Figures, day: float) -> int:
    """Of `trilha serve`: one for each core, and two at least."""
    return max(2, math.ceil(cores(burst(day), of.serve_us)))


def redis_bytes(of: Figures, day: float) -> float:
    """Memory of all clicks that are visible at once."""
    return burst(day) * TTL_SECONDS * of.redis_bytes


def shards(of: Figures, day: float) -> int:
    """One Redis, or the masters of a cluster, which has three at least."""
    by_memory = redis_bytes(of, day) / (SHARD_BYTES * USE)
    number = math.ceil(max(by_memory, cores(burst(day), of.redis_us)))
    return number if number <= 1 else max(3, number)
