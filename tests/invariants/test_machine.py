"""Two thousand lives of an installation, and the two naive designs that must not survive five hundred."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.design import InvariantBroken, World
from tests.machine.machine import Machine, profile
from tests.machine.naive import NaiveTakeDelete, NaiveTombstone
from tests.machine.trilha import Shared, Trilha
from tests.servers import ValkeyServer


@pytest.fixture
def world(valkey: ValkeyServer) -> Iterator[World]:
    valkey.start()
    made = World(valkey)
    yield made
    made.close()


def test_trilha_keeps_every_invariant_whatever_happens_in_whatever_order(world: World) -> None:
    """I1 to I13, by name; see tests/machine."""
    shared = Shared(world)

    class TrilhaMachine(Machine):
        design = lambda: Trilha(shared)

    TrilhaMachine.world = world
    number = random.randrange(2**32)
    print(f"machine: seed {number}")
    try:
        run_state_machine_as_test(seed(number)(TrilhaMachine), settings=profile(2000))
    finally:
        shared.close()


@pytest.mark.parametrize("naive", [NaiveTakeDelete, NaiveTombstone], ids=lambda naive: naive.name)
def test_the_machine_turns_red_on_the_naive_designs(world: World, naive: type[NaiveTakeDelete]) -> None:
    class NaiveMachine(Machine):
        design = lambda: naive(world)

    NaiveMachine.world = world
    with pytest.raises(InvariantBroken, match="I2 OneOwner"):
        run_state_machine_as_test(NaiveMachine, settings=profile(500))
