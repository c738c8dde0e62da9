"""`python -m tests.simulation [--clicks N] [--seed S] [--kinds]`: what the scores make of a day that is made up."""

from __future__ import annotations

import argparse

from tests.simulation.measure import DAY_AFTER, JUST_SETTLED, SCORES, Measured, measure
from tests.simulation.mix import MIXES

CLICKS, SEED = 40_000, 1


def table(*, number: int, seed: int) -> str:
    """The table of docs/reference/scores.md."""
    lines = ["| mix | known | score | true | counted | precision | recall |", "|---|---|---|---|---|---|---|"]
    for mix in MIXES:
        for known, after_s in (("a day later", DAY_AFTER), ("10 s later", JUST_SETTLED)):
            measured = measure(number=number, seed=seed, mix=mix, after_s=after_s)
            lines += [row(mix, known, name, measured) for name in SCORES]
    return "\n".join(lines)


def row(mix: str, known: str, name: str, measured: Measured) -> str:
    rate = measured.rates[name]
    figures = f"{rate.true:,} | {rate.counted:,} | {rate.precision:.2f} | {rate.recall:.2f}"
    return f"| {mix} | {known} | {name} | {figures} |"


def kinds(*, number: int, seed: int) -> str:
    """What became of each kind of traffic in the usual mix, a day later."""
    lines = ["| kind | clicks | counted as bot | counted as fraud |", "|---|---|---|---|"]
    for kind, (whole, bot, fraud) in measure(number=number, seed=seed, mix="usual").by_kind.items():
        lines.append(f"| {kind} | {whole:,} | {bot / whole:.1%} | {fraud / whole:.1%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--clicks", type=int, default=CLICKS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--kinds", action="store_true", help="by kind of traffic, too")
    given = parser.parse_args()
    print(table(number=given.clicks, seed=given.seed))
    if given.kinds:
        print("", kinds(number=given.clicks, seed=given.seed), sep="\n")


if __name__ == "__main__":
    main()
