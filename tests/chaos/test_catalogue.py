"""What drills there are, and that none of the faults which are known is without one."""

from __future__ import annotations

import pytest

from chaos.catalogue import Experiment, experiments
from chaos.faults import fault_names, make_fault
from chaos.figures.promises import standard_with
from chaos.figures.result import bounds_of
from chaos.matrix import MATRIX, tier_of
from chaos.matrix_page import PAGE, covering, page
from chaos.stage.spec import StageSpec
from domain.errors import ConfigError

ALL = experiments()
CONTENT = {drill.name: drill.load() for drill in ALL}
each_drill = pytest.mark.parametrize("drill", ALL, ids=lambda drill: drill.name)


def test_every_fault_of_the_matrix_has_a_drill_or_a_reason_why_there_is_none() -> None:
    covered = covering(ALL)
    assert [row.id for row in MATRIX if not covered[row.id] and not row.absent] == []
    assert [row.id for row in MATRIX if covered[row.id] and row.absent] == []


def test_no_drill_covers_a_fault_that_the_matrix_does_not_have() -> None:
    assert set(covering(ALL)) == {row.id for row in MATRIX}


def test_the_page_of_the_drills_is_what_they_say_of_themselves() -> None:
    assert page(PAGE.read_text(), ALL) == PAGE.read_text(), "run: python -m chaos.matrix_page"


@each_drill
def test_a_drill_is_called_as_its_file_and_belongs_to_the_tier_of_what_it_covers(drill: Experiment) -> None:
    assert drill.path.stem == drill.name
    assert {tier_of(row_id) for row_id in drill.covers} <= {drill.tier}


@each_drill
def test_a_drill_names_faults_figures_and_a_stage_that_exist(drill: Experiment) -> None:
    """What is misspelt shows here, not after a minute of load."""
    content = CONTENT[drill.name]
    StageSpec.of(content["configuration"]["stage"])
    assert bounds_of(content)
    for activity in [*content["method"], *content.get("rollbacks", [])]:
        given = activity["provider"].get("arguments", {})
        if activity["provider"]["func"] == "inject":
            make_fault(given["fault"], {k: v for k, v in given.items() if k not in {"fault", "called"}})


@each_drill
def test_what_is_mended_was_broken_before(drill: Experiment) -> None:
    there: list[str] = []
    for activity in CONTENT[drill.name]["method"]:
        given = dict(activity["provider"].get("arguments", {}))
        if activity["provider"]["func"] == "inject":
            called, fault = given.pop("called", ""), given.pop("fault")
            there.append(called or make_fault(fault, given).says)
        elif activity["provider"]["func"] == "mend":
            there.remove(given.get("called") or there[-1])


@each_drill
def test_every_drill_asks_for_the_same_steady_state_and_mends_what_it_broke(drill: Experiment) -> None:
    content = CONTENT[drill.name]
    (probe,) = content["steady-state-hypothesis"]["probes"]
    assert (probe["provider"]["func"], probe["tolerance"]) == ("promises", "kept")
    assert [control["provider"]["module"] for control in content["controls"]] == ["chaos.toolkit.control"]
    assert content["rollbacks"][-1]["provider"]["func"] == "mend_all"


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(ConfigError, match="there is no fault frobnicate; there are"):
        make_fault("frobnicate", {})
    with pytest.raises(ConfigError, match="the fault kill has no force; it has target"):
        make_fault("kill", {"target": "valkey", "force": True})
    with pytest.raises(ConfigError, match="no figure is called speed"):
        standard_with({"speed": 1})
    with pytest.raises(ConfigError, match="a stage has no moon"):
        StageSpec.of({"moon": True})
    with pytest.raises(ConfigError, match="with a replica is not reached through a proxy"):
        StageSpec.of({"sql": "postgres", "sql_replica": True, "proxied": ["sql"]})
    assert "noop" in fault_names()
