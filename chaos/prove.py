"""The proof that the drills go red: each planted bug (chaos/sabotage) is put into a drill that must find it.

A checker that stays green on a broken design proves nothing. That it stays green on the genuine one is what the same
drills show when they are run as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import msgspec
from chaoslib.experiment import run_experiment
from chaoslib.types import Strategy

from chaos.catalogue import experiment_called
from chaos.inside.__main__ import SABOTAGE
from chaos.report.result import Drill
from chaos.run import Listener, without_run
from chaos.toolkit.current import current
from domain.errors import ConfigError

Content = dict[str, Any]

LONGEST_PAUSE = 3.0
# What is lost never comes: the drill's end is when nothing waits and nothing has changed for this long.
STAGE = {"calm_s": 1.0, "quiet_s": 3.0}
# With time to answer, a slow machine makes no click token_only, of which nothing is promised.
PATIENT = {"deadline_ms": "1000"}
FEWER = {"rate": 100.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A bug, the processes that it is planted in, the drill that brings it to light, and a figure that must be broken."""

    bug: str
    into: tuple[str, ...]
    drill: str
    figure: str


PLANTED = (
    Planted(bug="ack_before_fsync", into=("serve",), drill="process-after-302", figure="acked_lost"),
    Planted(bug="breaker_never_opens", into=("serve",), drill="redis-kill", figure="detect_ms"),
    Planted(bug="lost_spool_on_sigterm", into=("serve",), drill="process-sigterm", figure="acked_lost"),
    Planted(
        bug="outbox_outside_transaction",
        into=("serve", "work"),
        drill="traffic-second-person",
        figure="effects",
    ),
    Planted(bug="take_and_delete", into=("serve",), drill="traffic-second-person", figure="double_owner"),
    Planted(bug="trim_before_commit", into=("work",), drill="process-boot", figure="acked_lost"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a drill said of a planted bug. `found`: it was carried out, and broke the promise that the bug must break."""

    planted: Planted
    drill: Drill

    @property
    def found(self) -> bool:
        """False also when the drill failed, or is red for another reason: that proves nothing of this bug."""
        broken = {promise.name for promise in self.drill.promises if not promise.held}
        return self.drill.verdict == "broken" and self.planted.figure in broken

    @property
    def says(self) -> str:
        """In a line."""
        value = next((each.value for each in self.drill.promises if each.name == self.planted.figure), None)
        how = f"{self.planted.figure} is {'not measurable' if value is None else f'{value:g}'}"
        return how if self.found else f"NOT FOUND: {self.drill.verdict}, {how}"


def wanted(bugs: Collection[str]) -> list[Planted]:
    """Those of these bugs, or all; ConfigError with what there is for one that there is not."""
    known = [each.bug for each in PLANTED]
    if unknown := sorted(set(bugs) - set(known)):
        raise ConfigError(f"no bug is called {', '.join(unknown)}; there are {', '.join(known)}")
    return [each for each in PLANTED if not bugs or each.bug in bugs]


def prove(bugs: Sequence[Planted], listener: Listener) -> list[Proof]:
    """Run each bug's drill with the bug in it, one after the other."""
    return [_proved(each, number, len(bugs), listener) for number, each in enumerate(bugs, 1)]


def _proved(planted: Planted, number: int, total: int, listener: Listener) -> Proof:
    listener.started(f"{planted.bug} in {planted.drill}", number, total)
    proof = Proof(planted=planted, drill=_run(planted, listener.said))
    listener.said(proof.says)
    return proof


def with_bug(planted: Planted) -> Content:
    """The drill with the bug in it, and as short as it can be."""
    content = deepcopy(experiment_called(planted.drill).load())
    stage = content["configuration"]["stage"]
    stage |= STAGE | {
        "settings": stage.get("settings", {}) | PATIENT,
        "crowd": stage.get("crowd", {}) | FEWER,
    }
    inside = stage.setdefault("inside", {})
    for process in planted.into:
        inside[process] = [*inside.get(process, []), SABOTAGE + planted.bug]
    for activity in content["method"]:
        pauses = activity.get("pauses", {})
        pauses |= {when: min(seconds, LONGEST_PAUSE) for when, seconds in pauses.items()}
    return content


def _run(planted: Planted, say: Callable[[str], None]) -> Drill:
    """Without the look before the fault: a bug that shows in fair weather too would keep the drill from being carried out."""
    logging.getLogger("logzero_default").setLevel(logging.CRITICAL)
    current().say = say
    journal = run_experiment(with_bug(planted), strategy=Strategy.AFTER_METHOD)
    if "trilha" not in journal:
        why = f"the experiment ended as {journal.get('status', 'nothing')}"
        return without_run(experiment_called(planted.drill), "failed", [why])
    return msgspec.convert(journal["trilha"], Drill)
