"""How often a score is right when it says bot or fraud, and how many of them it says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from daemon.enrich.scores import BOT_FROM, FRAUD_FROM, scores
from tests.simulation.mix import clicks
from tests.simulation.seen import evidence

SCORES = ("bot", "baseline bot", "fraud", "baseline fraud")
DAY_AFTER = 86_400.0
JUST_SETTLED = 10.0


class Rate(NamedTuple):
    """Precision: of those counted, the part that truly is. Recall: of those that truly are, the part counted."""

    true: int
    counted: int
    right: int

    @property
    def precision(self) -> float:
        return self.right / self.counted if self.counted else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.true if self.true else 0.0


class Measured(NamedTuple):
    clicks: int
    rates: dict[str, Rate]
    by_kind: dict[str, tuple[int, int, int]]
    """Of each kind of traffic: clicks, counted as bot, counted as fraud (by Trilha's own scores)."""


def measure(*, number: int, seed: int, mix: str, after_s: float = DAY_AFTER) -> Measured:
    made = clicks(number=number, seed=seed, mix=mix)
    found: dict[str, list[tuple[bool, bool]]] = {name: [] for name in SCORES}
    by_kind: dict[str, tuple[int, int, int]] = {}
    for click, known in zip(made, evidence(made, after_s=after_s), strict=True):
        given = scores(known)
        bot, fraud = given.bot.points >= BOT_FROM, given.fraud.points >= FRAUD_FROM
        found["bot"].append((click.bot, bot))
        found["baseline bot"].append((click.bot, given.baseline_bot >= BOT_FROM))
        found["fraud"].append((click.fraud, fraud))
        found["baseline fraud"].append((click.fraud, given.baseline_fraud >= FRAUD_FROM))
        before = by_kind.get(click.kind, (0, 0, 0))
        by_kind[click.kind] = (before[0] + 1, before[1] + bot, before[2] + fraud)
    return Measured(len(made), {name: rate(pairs) for name, pairs in found.items()}, by_kind)


def rate(pairs: Iterable[tuple[bool, bool]]) -> Rate:
    """Of pairs (it is, it was counted)."""
    listed = list(pairs)
    return Rate(
        sum(truly for truly, _ in listed),
        sum(counted for _, counted in listed),
        sum(truly and counted for truly, counted in listed),
    )
