"""`python -m tests.fuzz [TARGET …] --seconds 60 --seed 1`: mutate the corpus until time is up; exits 1 at a broken promise."""

from __future__ import annotations

import argparse
import time
import traceback
from random import Random

from tests.fuzz.corpus import inputs, keep
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Each target in its turn, for so many seconds."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET", help=", ".join(TARGETS)
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target; default: 60")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations; default: 1")
    asked = parser.parse_args()
    return max(_fuzz(name, asked.seconds, asked.seed) for name in asked.targets or TARGETS)


def _fuzz(name: str, seconds: float, seed: int) -> int:
    random, corpus, tried = Random(seed), list(inputs(name).values()), 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        data = mutated(corpus, random)
        try:
            TARGETS[name](data)
        except Exception:  # noqa: BLE001  whatever it is, it is a finding
            traceback.print_exc()
            print(f"{name}: broken by the {tried + 1:,}th input, kept as {keep(name, data)}")
            return 1
        tried += 1
    print(f"{name}: {tried:,} inputs from a corpus of {len(corpus)}, seed {seed}: every promise was kept")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
