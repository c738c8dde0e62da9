"""The timeline says what the figures say: heights, gaps, places, and the same in words."""

from __future__ import annotations

import re

import msgspec
import pytest

from chaos.report.panels import Axis, Panel, panels_of
from chaos.report.plot import plot
from chaos.report.result import Mark, Timeline, Window
from chaos.report.svg import area, ceiling, decades, linear, logarithmic, stairs
from tests.chaos.sample_report import named

AXIS = Axis(length_s=4, step_s=1)


def panel(title: str, **series: object) -> Panel:
    (found,) = [each for each in panels_of(Timeline(step_s=1, **series), AXIS) if each.title == title]
    return found


def lanes(*windows: Window, marks: tuple[Mark, ...] = ()) -> str:
    timeline = Timeline(step_s=1, rate=(5,) * 10)
    return plot(msgspec.structs.replace(named("redis-kill"), timeline=timeline, windows=windows, marks=marks))


def test_steps_are_as_wide_as_they_last_and_equal_ones_are_one():
    assert stairs((10, 10, 0, None, 5), linear(10, 100)) == "M0 0H2V100H3M4 50H5"


def test_an_area_goes_back_along_its_lower_edge():
    assert area((0, 0, 5), (10, 10, 10), linear(10, 100)) == "M0 0H3V50H2V100H0Z"
    assert area((), (), linear(10, 100)) == ""


def test_what_is_outside_of_a_scale_is_drawn_at_its_edge():
    linearly, by_decades = linear(10, 100), logarithmic(1, 1000, 90)
    assert [linearly(value) for value in (-1, 0, 5, 20)] == [100, 100, 50, 0]
    assert [round(by_decades(value)) for value in (0, 1, 10, 100, 1000, 5000)] == [90, 90, 60, 30, 0, 0]


@pytest.mark.parametrize(
    ("value", "end"), [(0, 1), (0.7, 1), (1, 1), (1.2, 2), (234, 250), (1790, 2000), (5100, 10_000)]
)
def test_an_axis_ends_at_a_round_figure(value, end):
    assert ceiling(value) == end


@pytest.mark.parametrize(
    ("lowest", "highest", "scale"),
    [(2, 31, [1, 10, 100]), (1, 1, [1, 10]), (0, 0.5, [0.1, 1]), (0.4, 1000, [0.1, 1, 10, 100, 1000])],
)
def test_latencies_are_on_whole_decades(lowest, highest, scale):
    assert decades(lowest, highest) == scale


def test_one_failure_among_thousands_is_still_to_be_seen():
    shown = panel("Redirects a second", rate=(5000, 5000), errors=(0, 1))
    assert 'd="M0 56H1V52H2V56H0Z" class="fill errors"' in shown.body
    assert [key.label for key in shown.keys] == ["asked", "failed"]
    assert "at most 1 a second failed" in shown.says


def test_failures_are_not_named_where_there_are_none():
    assert [key.label for key in panel("Redirects a second", rate=(5,), errors=(0,)).keys] == ["asked"]


def test_durabilities_are_shares_on_top_of_each_other():
    shown = panel("Promised of each click", synced=(70, 20, 0), written=(0, 10, 0), token_only=(0, 10))
    paths = dict(re.findall(r'd="([^"]*)" class="fill ([\w-]+)"', shown.body))
    assert {name: path for path, name in paths.items()} == {
        "synced": "M0 0H1V20H2V40H3V40H0Z",
        "written": "M0 0H1V10H2V40H3V40H2V20H1V0H0Z",
        "token-only": "M0 0H2V40H3V40H2V10H1V0H0Z",
    }
    assert "at least 50 % of each step were synced" in shown.says


def test_a_breaker_is_higher_the_less_it_lets_through_and_absent_where_it_is_unknown():
    shown = panel("Breakers", breakers={"redis": (None, 0, 1, 2, 2), "sql": (0,), "disk": (None, None)})
    bars = re.findall(r'x="(\d+)" y="\d+" width="(\d+)" height="(\d+)" class="fill ([\w-]+)"', shown.body)
    assert bars == [
        ("1", "1", "2", "closed"),
        ("2", "1", "7", "half-open"),
        ("3", "2", "13", "open"),
        ("0", "1", "2", "closed"),
    ]
    assert shown.says == "redis open for 2.0 s, sql open for 0.0 s."
    assert [tick.label for tick in shown.ticks] == ["redis", "sql"]


def test_a_backlog_is_shown_where_there_was_one():
    assert (
        "At most 1,800 entries in the spool; 4 at the end."
        in panel("Waiting to be settled", backlog=(0, 1800, 4, None)).says
    )
    assert panels_of(Timeline(step_s=1, backlog=(0, 0)), AXIS) == []


def test_latencies_say_their_highest():
    shown = panel("Latency, ms", p50_ms=(2, None), p99_ms=(8, 9), max_ms=(None, 31.2))
    assert (
        shown.says == "On a logarithmic scale: slowest at most 31 ms; p99 at most 9.0 ms; p50 at most 2.0 ms."
    )


def test_a_fault_is_named_from_the_end_that_leaves_more_room():
    early = lanes(Window(fault="early", from_s=1, to_s=3))
    late = lanes(Window(fault="late", from_s=7, to_s=9))
    assert re.search(r'x="10.00%"[^>]*text-anchor="start">early<', early)
    assert re.search(r'x="90.00%"[^>]*text-anchor="end">late<', late)


def test_faults_at_once_have_lanes_of_their_own_and_are_told_to_who_does_not_see_them():
    both = lanes(Window(fault="one", from_s=1, to_s=3), Window(fault="two", from_s=2, to_s=4))
    assert [int(y) for y in re.findall(r'y="(\d+)"[^>]*class="window"', both)] == [4, 24]
    assert "Shaded: one from 1.0 s to 3.0 s; two from 2.0 s to 4.0 s." in both


def test_marks_are_numbered_where_they_are_and_told_below():
    shown = lanes(marks=(Mark(at_s=5, text="back"), Mark(at_s=20, text="late")))
    assert re.findall(r'<circle cx="([\d.]+)%"', shown) == ["25.00", "100.00"]
    assert '<ol class="marks"><li>back <span class="quiet">at 5.0 s</span></li><li>late' in shown


def test_the_time_axis_has_the_length_of_what_was_measured():
    assert re.findall(r'class="tick">([\d.]+(?: s)?)</text></svg>', lanes())[-1] == "10 s"
