"""Memory that grows, a spool that does not shrink and clicks that are left are said to be so."""

from __future__ import annotations

import os

import pytest

from loadtests.memory import FLOOR, Look, MemoryReport, resident_bytes
from loadtests.plan import RungFailed

MB = 1_000_000


def look(at: int, daemon: float, *, spool: int = 0, waiting: int = 0) -> Look:
    return Look(
        seconds=at, clicks=at * 4000, daemon=int(daemon * MB), worker=50 * MB, spool=spool, waiting=waiting
    )


def report(memory: list[float], *, spool: int = FLOOR, waiting: int = 0) -> MemoryReport:
    loaded = [look(at, daemon) for at, daemon in enumerate(memory)]
    made = MemoryReport(
        machine={},
        answered=1,
        loaded=loaded,
        settling=[look(len(memory), memory[-1], spool=spool, waiting=waiting)],
    )
    made.judge()
    return made


def test_memory_that_rises_while_warming_up_and_then_stays_is_flat() -> None:
    flat = report([40.0, 70.0, *[100.0 + n % 3 for n in range(98)]])
    assert (flat.reasons, flat.exit_code) == ([], 0)


def test_memory_that_keeps_rising_is_not() -> None:
    rising = report([100 + 0.5 * n for n in range(100)])
    assert rising.growth == pytest.approx(0.38, abs=0.01)
    assert rising.exit_code == 1
    assert "memory grew" in rising.reasons[0]


def test_what_is_left_in_the_spool_is_told() -> None:
    assert "3 entries are left" in report([100.0] * 50, waiting=3).reasons[0]
    assert "keeps 26 MB" in report([100.0] * 50, spool=26 * MB).reasons[0]


def test_a_process_that_is_gone_fails_the_run() -> None:
    assert resident_bytes(os.getpid()) > MB
    with pytest.raises(RungFailed, match="is gone"):
        resident_bytes(2**22 + 1)
