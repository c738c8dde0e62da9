"""One write serves everyone who waits, and nobody waits for more than their own batch."""

from __future__ import annotations

import asyncio

import pytest

from backends.batch import Batch, Batcher
from domain.errors import StoreUnavailable


class Gate:
    """A write that ends when the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.ends: list[asyncio.Future[None]] = []
        self.began = asyncio.Event()

    async def write(self, batch: Batch[int, str]) -> str:
        self.batches.append(list(batch.items))
        self.began.set()
        self.ends.append(asyncio.get_running_loop().create_future())
        await self.ends[-1]
        return "late"


async def settle_loop() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_during_a_write_is_the_next_batch_and_each_waits_for_its_own() -> None:
    gate = Gate()
    batcher: Batcher[int, str] = Batcher(gate.write)
    first = [batcher.submit(n) for n in (1, 2)]
    await settle_loop()
    second = [batcher.submit(n) for n in (3, 4, 5)]
    await settle_loop()
    assert gate.batches == [[1, 2]]
    gate.ends[0].set_result(None)
    await settle_loop()
    assert all(future.done() for future in first)
    assert not any(future.done() for future in second)
    assert gate.batches == [[1, 2], [3, 4, 5]]
    gate.ends[1].set_result(None)
    await batcher.close()
    assert all(future.done() for future in second)


async def test_an_error_reaches_the_callers_of_its_batch_alone() -> None:
    gate = Gate()
    batcher: Batcher[int, str] = Batcher(gate.write)
    bad = batcher.submit(1)
    await settle_loop()
    good = batcher.submit(2)
    gate.ends[0].set_exception(StoreUnavailable("down"))
    await settle_loop()
    gate.ends[1].set_result(None)
    with pytest.raises(StoreUnavailable):
        await bad
    assert await good == "late"


async def test_a_batch_has_a_size_and_what_waits_has_a_limit() -> None:
    gate = Gate()
    batcher: Batcher[int, str] = Batcher(gate.write, size=2, waiting=4)
    futures = [batcher.submit(n) for n in range(4)]
    with pytest.raises(StoreUnavailable, match="too many"):
        batcher.submit(4)
    for number in range(2):
        await settle_loop()
        gate.ends[number].set_result(None)
    await batcher.close()
    assert (gate.batches, all(future.done() for future in futures)) == ([[0, 1], [2, 3]], True)


async def test_closing_an_idle_batcher_returns() -> None:
    await Batcher(Gate().write).close()


async def test_a_batch_may_be_answered_before_it_is_written_and_the_first_answer_stays() -> None:
    gate = Gate()

    async def write(batch: Batch[int, str]) -> str:
        assert batch.answer("early") == "early"
        late = await gate.write(batch)
        assert batch.answer(late) == "early"
        return late

    batcher: Batcher[int, str] = Batcher(write)
    assert await batcher.submit(1) == "early"
    gate.ends[0].set_result(None)
    await batcher.close()


async def test_a_caller_that_gives_up_disturbs_nobody_else() -> None:
    gate = Gate()
    batcher: Batcher[int, str] = Batcher(gate.write)
    gone, stays = batcher.submit(1), batcher.submit(2)
    gone.cancel()
    await settle_loop()
    gate.ends[0].set_result(None)
    assert (await stays, gate.batches) == ("late", [[1, 2]])


async def test_as_many_batches_are_in_flight_as_are_allowed() -> None:
    gate = Gate()
    batcher: Batcher[int, str] = Batcher(gate.write, in_flight=2)
    futures = []
    for number in range(4):
        futures.append(batcher.submit(number))
        await settle_loop()
    assert gate.batches == [[0], [1]]
    gate.ends[1].set_result(None)
    await settle_loop()
    assert gate.batches == [[0], [1], [2, 3]]
    assert [future.done() for future in futures] == [False, True, False, False]
    for end in (gate.ends[0], gate.ends[2]):
        end.set_result(None)
    await batcher.close()


async def test_what_comes_during_a_write_gathers_until_it_ends_or_for_as_long_as_is_allowed() -> None:
    gate = Gate()
    batcher: Batcher[int, str] = Batcher(gate.write, in_flight=9, linger=0.02)
    futures = []
    for number in range(3):
        futures.append(batcher.submit(number))
        await settle_loop()
    assert gate.batches == [[0]]
    gate.ends[0].set_result(None)
    await settle_loop()
    assert gate.batches == [[0], [1, 2]]  # the write ended before the time was over
    futures += [batcher.submit(3), batcher.submit(4)]
    await settle_loop()
    assert len(gate.batches) == 2
    gate.began.clear()
    await gate.began.wait()
    assert gate.batches[2] == [3, 4]  # the time was over before the write ended
    for end in gate.ends[1:]:
        end.set_result(None)
    await batcher.close()
    assert all(future.done() for future in futures)


async def test_a_batch_is_as_old_as_its_first_item(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    ages = []

    async def write(batch: Batch[int, str]) -> str:
        ages.append(batch.age)
        return ""

    batcher: Batcher[int, str] = Batcher(write)
    batcher.submit(1)
    now = 3.0
    await batcher.submit(2)
    assert ages == [2.0]
