"""The sheet is arithmetic over what was measured, and each line shows it."""

from __future__ import annotations

import dataclasses
import math

import pytest

from loadtests.shapes import load_shape
from loadtests.sizing import BURST_FACTOR, HOUR_FACTOR, Figures, Need, needs

FIGURES = Figures(
    serve_rate=4000,
    serve_us=250,
    redis_us=10,
    settle_sqlite_us=200,
    redis_bytes=1024,
    spool_bytes=1024,
    sqlite_bytes=2048,
    start_bytes=1000,
    outbox_bytes=1000,
    settle_postgres_us=100,
    postgres_bytes=1024,
)


def sheet(figures: Figures = FIGURES, day: int = 86_400_000) -> dict[str, float]:
    """By name, for 1000 clicks a second on the mean."""
    return {need.name: need.values[0] for need in needs(figures, [day])}


def test_the_peak_factors_are_those_of_the_day_s_shape() -> None:
    hours = [segment.start for segment in load_shape("day").segments if segment.start != 46][::2]
    mean = sum(hours) / 24
    assert max(hours) / mean == pytest.approx(HOUR_FACTOR, rel=0.01)
    assert 46 / mean == pytest.approx(BURST_FACTOR, rel=0.02)


def test_rates_and_cores_follow_from_the_clicks_of_a_day() -> None:
    found = sheet()
    assert (found["mean"], found["hour"], found["burst"]) == (1000, 1900, 4000)
    assert found["serve: cores"] == 4000 * 250e-6 / 0.5
    assert found["serve: processes"] == 2
    assert found["work: cores"] == pytest.approx(1900 * 100e-6 / 0.5)


def test_memory_spool_and_sql_follow_from_the_bytes_of_a_click() -> None:
    found = sheet()
    assert found["Redis: memory"] == pytest.approx(4000 * 180 * 1024 / 2**30)
    assert found["spool: 6 h without SQL"] == pytest.approx(1900 * 21600 * 1024 / 2**30)
    assert found["spool: of one process"] == pytest.approx(found["spool: 6 h without SQL"] / 2)
    assert found["SQL: 28 days"] == pytest.approx(86_400_000 * 28 * 1024 / 2**30)
    assert found["SQL: 13 months"] / found["SQL: 28 days"] == pytest.approx(396 / 28)


def test_without_postgresql_the_figures_are_those_of_sqlite() -> None:
    alone = dataclasses.replace(FIGURES, settle_postgres_us=None, postgres_bytes=None)
    assert sheet(alone)["work: cores"] == 2 * sheet()["work: cores"]
    assert sheet(alone)["SQL: 28 days"] == 2 * sheet()["SQL: 28 days"]


def test_one_redis_will_do_until_memory_or_cpu_ask_for_a_cluster_of_three_at_least() -> None:
    assert sheet(day=10**6)["Redis: shards"] == 1
    assert sheet(day=86_400_000 * 9)["Redis: shards"] == 3
    assert sheet(day=86_400_000 * 100)["Redis: shards"] == math.ceil(400_000 * 180 * 1024 / (4 * 2**30))


def test_every_line_shows_how_it_is_reckoned_with_the_figures_in_it() -> None:
    found: dict[str, Need] = {need.name: need for need in needs(FIGURES)}
    assert all(need.formula and len(need.values) == 5 for need in found.values())
    assert "250 us" in found["serve: cores"].formula
    assert "1,024 B" in found["Redis: memory"].formula
