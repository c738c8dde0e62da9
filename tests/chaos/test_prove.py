"""Each planted bug turns the drill red that must find it, for the reason that it must have."""

from __future__ import annotations

import msgspec
import pytest

from chaos.catalogue import experiment_called
from chaos.figures.promises import STANDARD, TEXTS
from chaos.prove import LONGEST_PAUSE, PLANTED, Planted, Proof, prove, wanted, with_bug
from chaos.report.result import Drill, Promise
from chaos.sabotage import BUGS
from domain.errors import ConfigError


class Quiet:
    """Hears it, and says nothing."""

    def started(self, name: str, number: int, total: int) -> None: ...
    def said(self, text: str) -> None: ...
    def ended(self, drill: Drill) -> None: ...


each_bug = pytest.mark.parametrize("planted", PLANTED, ids=lambda each: each.bug)


@each_bug
def test_the_drill_finds_the_bug(planted: Planted) -> None:
    (proof,) = prove([planted], Quiet())
    assert proof.found, (proof.says, proof.drill.reasons)


def test_no_planted_bug_is_without_a_drill_that_must_find_it() -> None:
    assert [each.bug for each in PLANTED] == list(BUGS)
    assert {each.figure for each in PLANTED} <= set(TEXTS)


@each_bug
def test_the_drill_is_as_it_is_but_for_the_bug_and_its_length(planted: Planted) -> None:
    """What the drill promises of the figure by itself is what the bug breaks: no bound is made for the proof."""
    ordinary, content = experiment_called(planted.drill).load(), with_bug(planted)
    assert content["steady-state-hypothesis"] == ordinary["steady-state-hypothesis"]
    assert [each["provider"] for each in content["method"]] == [
        each["provider"] for each in ordinary["method"]
    ]
    given = content["steady-state-hypothesis"]["probes"][0]["provider"]["arguments"]["at_most"]
    assert (STANDARD | given)[planted.figure] is not None
    inside = content["configuration"]["stage"]["inside"]
    assert all(f"sabotage:{planted.bug}" in inside[process] for process in planted.into)
    assert all(
        pause <= LONGEST_PAUSE for each in content["method"] for pause in each.get("pauses", {}).values()
    )


@pytest.fixture
def drill() -> Drill:
    """A drill that was broken in one promise, and held the other."""
    promises = tuple(
        Promise(name=name, text=name, bound=0, value=value, held=value == 0)
        for name, value in (("acked_lost", 3), ("double_owner", 0))
    )
    return Drill(
        name="x", title="x", about="x", tier="process", covers=(), verdict="broken", promises=promises
    )


def bug(figure: str) -> Planted:
    return Planted(bug="ack_before_fsync", into=("serve",), drill="x", figure=figure)


def test_a_bug_is_found_only_by_the_figure_that_it_must_break(drill: Drill) -> None:
    assert Proof(planted=bug("acked_lost"), drill=drill).found
    other = Proof(planted=bug("double_owner"), drill=drill)
    assert not other.found
    assert other.says == "NOT FOUND: broken, double_owner is 0"


def test_a_drill_that_was_not_carried_out_finds_nothing(drill: Drill) -> None:
    failed = msgspec.structs.replace(drill, verdict="failed")
    assert not Proof(planted=bug("acked_lost"), drill=failed).found


def test_a_bug_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="no bug is called moon; there are ack_before_fsync, "):
        wanted(["moon"])
    assert [each.bug for each in wanted(["take_and_delete"])] == ["take_and_delete"]
    assert wanted([]) == list(PLANTED)
