"""`python -m tests.machine --examples 50000 [--seed N]`: the machine for as long as you like."""

from __future__ import annotations

import argparse
import logging
import random
import sys

from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from chaos.servers import ValkeyServer
from tests.machine.design import InvariantBroken, World
from tests.machine.machine import Machine, profile
from tests.machine.trilha import Shared, Trilha


def main() -> None:
    """Exits 1 when an invariant is broken, after printing the shortest story that breaks it."""
    parser = argparse.ArgumentParser(prog="python -m tests.machine", description=__doc__)
    parser.add_argument("--examples", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    print(f"machine: {given.examples} examples, seed {given.seed}", flush=True)
    logging.disable(logging.CRITICAL)
    with ValkeyServer() as valkey:
        world = World(valkey)
        shared = Shared(world)

        class TrilhaMachine(Machine):
            design = lambda: Trilha(shared)

        TrilhaMachine.world = world
        try:
            run_state_machine_as_test(seed(given.seed)(TrilhaMachine), settings=profile(given.examples))
        except InvariantBroken as broken:
            print(f"machine: {broken}", *getattr(broken, "__notes__", ()), sep="\n")
            sys.exit(1)
        finally:
            shared.close()
            world.close()
    print("machine: every invariant held")


if __name__ == "__main__":
    main()
