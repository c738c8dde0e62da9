"""The figures of a drill that are compared and tabled, each defined once; and the sums over a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chaos.report.result import Drill, Phase, Report, Zeros

Getter = Callable[[Drill], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the drills that were carried out."""

    drills: int
    clicks_asked: int
    clicks_answered: int
    not_sent_on: int
    starts: int
    owners: int
    zeros: Zeros


def totals(report: Report) -> Totals:
    """The sums over held and broken drills; skipped and failed ones have shown nothing."""
    ran = report.having("held", "broken")
    phases = [phase for drill in ran for phase in drill.phases]
    starts = [drill.starts for drill in ran if drill.starts]
    return Totals(
        drills=len(ran),
        clicks_asked=sum(phase.asked for phase in phases),
        clicks_answered=sum(phase.answered for phase in phases),
        not_sent_on=sum(phase.missed for phase in phases),
        starts=sum(start.asked for start in starts),
        owners=sum(start.owners for start in starts),
        zeros=_sum(drill.zeros for drill in ran),
    )


def _sum(zeros: Iterable[Zeros | None]) -> Zeros:
    known = [each for each in zeros if each]
    return Zeros(
        acked_lost=sum(each.acked_lost for each in known),
        double_owner=sum(each.double_owner for each in known),
        resurrected=sum(each.resurrected for each in known),
        invented=sum(each.invented for each in known),
    )


def during(of: Callable[[Phase], float | None]) -> Getter:
    """A figure of the phase in which the fault was on; None when there was no such phase."""

    def figure(drill: Drill) -> float | None:
        return of(drill.fault) if drill.fault else None

    return figure


def everywhere(of: Callable[[Phase], int]) -> Getter:
    """A count over all phases; None when there was none."""

    def figure(drill: Drill) -> float | None:
        return sum(of(phase) for phase in drill.phases) if drill.phases else None

    return figure


def zero(of: Callable[[Zeros], int]) -> Getter:
    """One of the four figures that must be 0; None when it was not measured."""

    def figure(drill: Drill) -> float | None:
        return of(drill.zeros) if drill.zeros else None

    return figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Zero:
    """How one of the four zero-figures is called, and what it says when it is 0."""

    name: str
    label: str
    of: Callable[[Zeros], int]


ZEROS = (
    Zero(name="acked_lost", label="acknowledged clicks lost", of=lambda zeros: zeros.acked_lost),
    Zero(name="double_owner", label="clicks with two owners", of=lambda zeros: zeros.double_owner),
    Zero(name="resurrected", label="finished clicks resurrected", of=lambda zeros: zeros.resurrected),
    Zero(name="invented", label="clicks invented or altered", of=lambda zeros: zeros.invented),
)
