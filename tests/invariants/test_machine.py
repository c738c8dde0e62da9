"""Two thousand lives of an installation, and the two naive designs that must not survive five hundred."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis.stateful import run_state_machine_as_test

from chaos.servers import ValkeyServer
from tests.machine.design import InvariantBroken, World
from tests.machine.machine import Machine, profile
from tests.machine.naive import NaiveTakeDelete, NaiveTombstone

ROOT = Path(__file__).parents[2]
EXAMPLES = 2000
# Fixed, so that a run of CI says the same twice; `python -m tests.machine` takes a new one each time.
SEEDS = (2314482712, 4216400707)


@pytest.fixture
def world(valkey: ValkeyServer) -> Iterator[World]:
    valkey.start()
    made = World(valkey)
    yield made
    made.close()


def test_trilha_keeps_every_invariant_whatever_happens_in_whatever_order() -> None:
    """I1 to I13, by name; see tests/machine. In processes of their own, side by side."""
    command = [sys.executable, "-m", "tests.machine", "--examples", str(EXAMPLES // len(SEEDS)), "--seed"]
    running = [
        subprocess.Popen([*command, str(seed)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for seed in SEEDS
    ]
    said = [process.communicate()[0].decode() for process in running]
    assert [process.returncode for process in running] == [0] * len(SEEDS), "\n".join(said)
    assert all("every invariant held" in text for text in said)


@pytest.mark.parametrize("naive", [NaiveTakeDelete, NaiveTombstone], ids=lambda naive: naive.name)
def test_the_machine_turns_red_on_the_naive_designs(world: World, naive: type[NaiveTakeDelete]) -> None:
    class NaiveMachine(Machine):
        design = lambda: naive(world)

    NaiveMachine.world = world
    with pytest.raises(InvariantBroken, match="I2 OneOwner"):
        run_state_machine_as_test(NaiveMachine, settings=profile(500))
