"""Which kinds of traffic there are, and how much of each: assumptions, in parts of all clicks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.simulation import dishonest, honest
from tests.simulation.day import Day, SimClick


class Kind(NamedTuple):
    make: Callable[[Day], list[SimClick]]
    usual: float
    scarce: float
    """Its part where fraud is a tenth and programs are a third of the usual."""


KINDS = (
    Kind(honest.in_app, 46, 46),
    Kind(honest.desktop, 8, 8),
    Kind(honest.abroad, 5, 5),
    Kind(honest.night, 3, 3),
    Kind(honest.double_tap, 5, 5),
    Kind(honest.sharing, 5, 5),
    Kind(honest.bare, 0.3, 0.3),
    Kind(honest.prefetch, 7, 7),
    Kind(dishonest.preview, 3, 1),
    Kind(dishonest.crawler, 3, 1),
    Kind(dishonest.disguised, 2, 0.7),
    Kind(dishonest.headless, 3, 0.3),
    Kind(dishonest.scripted, 3, 0.3),
    Kind(dishonest.farm, 5, 0.5),
    Kind(dishonest.ring, 1, 0.1),
    Kind(dishonest.residential, 1, 0.1),
    Kind(dishonest.paid_person, 1, 0.1),
)
MIXES = ("usual", "scarce")


def clicks(*, number: int, seed: int, mix: str) -> list[SimClick]:
    """About `number` clicks of one day, by time. A run or a group is never cut, so there may be a few more."""
    day = Day(seed, number)
    whole = sum(getattr(kind, mix) for kind in KINDS)
    made: list[SimClick] = []
    for kind in KINDS:
        until = len(made) + number * getattr(kind, mix) / whole
        while len(made) < until:
            made += kind.make(day)
    return sorted(made, key=lambda click: click.at_s)
