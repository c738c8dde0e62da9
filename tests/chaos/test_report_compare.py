"""Two reports side by side: only what is different is named, and only what is worse by its threshold is called worse."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from chaos.report.compare import (
    THRESHOLDS,
    DrillGone,
    DrillNew,
    FigureWorse,
    VerdictChanged,
    compare,
    rule,
    sentence,
    worse,
)
from chaos.report.result import Drill, Times, Zeros
from tests.chaos.sample_report import named, only, report_of, sample

replace = msgspec.structs.replace
KILL = named("redis-kill")


def during_fault(**figures: float) -> Drill:
    """The killed Redis, with these figures in its fault."""
    return replace(
        KILL, phases=tuple(replace(each, **figures) if each.name == "fault" else each for each in KILL.phases)
    )


def between(before: Drill, after: Drill) -> list[str]:
    return [sentence(each) for each in compare(report_of(before), report_of(after))]


def test_a_report_is_not_different_from_itself():
    assert compare(sample(), sample()) == ()


def test_drills_come_and_go():
    found = compare(only("redis-kill", "disk-eio"), only("redis-kill", "disk-torn"))
    assert found == (
        DrillGone(drill="disk-eio", verdict="broken"),
        DrillNew(drill="disk-torn", verdict="skipped"),
    )
    assert [sentence(each) for each in found] == ["gone; it was broken", "new, skipped"]
    assert not any(map(worse, found))


@pytest.mark.parametrize(
    ("before", "after", "is_worse"),
    [
        ("held", "broken", True), ("held", "failed", True), ("held", "skipped", True), ("skipped", "broken", True),
        ("broken", "held", False), ("skipped", "held", False), ("failed", "skipped", False), ("broken", "skipped", False),
    ],
)  # fmt: skip
def test_a_verdict_that_changed_is_worse_when_less_is_known_to_hold(before, after, is_worse):
    (found,) = compare(
        report_of(replace(KILL, verdict=before)), report_of(replace(KILL, verdict=after, reasons=("why",)))
    )
    assert isinstance(found, VerdictChanged)
    assert worse(found) is is_worse
    assert sentence(found) == f"{before} → {after}: why"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (20, 41, ["p99 in the fault 20 ms → 41 ms (2.0 times)"]),
        (20, 40, []),
        (41, 20, []),
        (4, 14, []),
        (0, 16, ["p99 in the fault 0 ms → 16 ms"]),
    ],
)
def test_a_latency_is_worse_beyond_twice_what_it_was_and_above_noise(before, after, said):
    assert between(during_fault(p99_ms=before), during_fault(p99_ms=after)) == said


def test_a_settle_time_is_worse_beyond_twice_what_it_was():
    before, after = (replace(KILL, times=Times(settle_s=each)) for each in (3.0, 6.1))
    assert between(before, after) == ["settle 3.0 s → 6.1 s (2.0 times)"]


def test_a_figure_that_one_of_the_two_has_not_is_not_compared():
    before, after = replace(KILL, times=Times()), replace(KILL, times=Times(settle_s=600))
    assert between(before, after) == between(after, before) == []
    assert between(KILL, replace(KILL, phases=(), zeros=None, backlog_peak=None)) == []


@pytest.mark.parametrize("field", ["acked_lost", "double_owner", "resurrected", "invented"])
def test_no_increase_of_a_zero_passes(field):
    (found,) = compare(
        report_of(KILL),
        report_of(replace(KILL, zeros=Zeros(**(msgspec.to_builtins(KILL.zeros) | {field: 1})))),
    )
    assert isinstance(found, FigureWorse)
    assert (found.before, found.after, found.times) == (0, 1, None)
    assert sentence(found).endswith("0 → 1")


def test_one_visitor_more_who_was_not_sent_on_does_not_pass():
    assert between(KILL, during_fault(non_302=1)) == ["answers other than 302 0 → 1"]
    assert between(during_fault(errors=7), during_fault(errors=8)) == ["unanswered 7 → 8 (1.1 times)"]


def test_thresholds_can_be_given():
    strict = tuple(impatient(each) for each in THRESHOLDS)
    found = compare(report_of(during_fault(p99_ms=20)), report_of(during_fault(p99_ms=23)), strict)
    assert [sentence(each) for each in found] == ["p99 in the fault 20 ms → 23 ms (1.1 times)"]


def impatient(threshold):
    """The threshold, but with no patience."""
    return dataclasses.replace(threshold, ratio=1.1, floor=0)


def test_verdicts_come_before_figures_and_figures_before_drills():
    before = report_of(KILL, named("sql-kill"))
    after = report_of(named("disk-torn"), replace(during_fault(p99_ms=900), verdict="broken"))
    kinds = [type(each) for each in compare(before, after)]
    assert kinds == [VerdictChanged, FigureWorse, DrillGone, DrillNew]


def test_the_rule_names_every_threshold_as_it_is():
    assert "more than 2 times what it was" in rule()
    assert "p99 in the fault 15 ms" in rule()
    assert "highest backlog 500." in rule()
    assert "more than 1.1 or 2 times" in rule((*THRESHOLDS, replace_floor(impatient(THRESHOLDS[-1]))))


def replace_floor(threshold):
    """The threshold, with a floor of 1."""
    return dataclasses.replace(threshold, floor=1)
