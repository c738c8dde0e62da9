"""What is asked of more daemons, and whether a machine can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MANY_CORES = 6
"""Three daemons, as much again for their generator and Redis."""
GROWTH, GROWN = 2.5, 3
COST = 0.9
FULL = 0.9
OTHERS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """ratios: by the number of daemons, how many times the clicks of one. fullest: of one core, by the busiest of the
    generator's threads. others: cores that other programs used.
    """

    cores: int
    ratios: Mapping[int, float]
    fullest: float
    others: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """held: None where this machine cannot tell, and `why` says what would have to be."""

    bar: str
    measured: float
    held: bool | None
    why: str = ""


def verdicts(measured: Measured) -> list[Verdict]:
    """One on growth, where three daemons were measured; one on what more daemons cost, of each count."""
    found = []
    if (growth := measured.ratios.get(GROWN)) is not None:
        why = _few_cores(measured.cores) or _unfair(measured, growth >= GROWTH)
        held = None if why else growth >= GROWTH
        found.append(Verdict(bar=f"{GROWN} daemons >= {GROWTH} x one", measured=growth, held=held, why=why))
    for count, ratio in sorted(measured.ratios.items()):
        if count > 1:
            why = _unfair(measured, ratio >= COST)
            held = None if why else ratio >= COST
            found.append(Verdict(bar=f"{count} daemons >= {COST} x one", measured=ratio, held=held, why=why))
    return found


def _few_cores(cores: int) -> str:
    return (
        ""
        if cores >= MANY_CORES
        else f"{cores} cores; it takes {MANY_CORES}, as the generator needs some too"
    )


def _unfair(measured: Measured, held: bool) -> str:  # noqa: FBT001  what is kept all the same is kept
    """Why a bar that is missed may be missed for a reason that is not Trilha."""
    if held:
        return ""
    if measured.fullest >= FULL:
        return f"the generator was full ({measured.fullest:.2f} of a core)"
    if measured.others >= OTHERS:
        return f"others used {measured.others:.1f} cores; measure again on an idle machine"
    return ""
