"""Whatever becomes of pushes and of the worker: every message is dealt with, and none is forgotten before it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.incoming import Incoming, Person
from bot.intake import Intake
from bot.line import Difference, Dismissed, Update, Updates
from domain.accounts import UpdateState
from domain.links import Bot

BOT = Bot(id=1, username="ana_bot")
START = UpdateState(pts=10, qts=0, date=1)
SLICE = 3
# What becomes of a message's push, and what happens between messages.
STEP = st.sampled_from(
    ["pushed", "pushed", "pushed", "twice", "lost", "comes_late", "turns", "crash", "fails", "is_stuck"]
)


class Telegram:
    """A bot's log, and what a worker may ask about it."""

    def __init__(self) -> None:
        self.log: list[Incoming] = []

    def write(self) -> Update:
        number = len(self.log) + 1
        self.log.append(
            Incoming(bot=BOT, person=Person(telegram_id=number), message_id=number, text="/start")
        )
        return self.update(number)

    def update(self, number: int) -> Update:
        return Update(sequence="pts", end=START.pts + number, count=1, says=self.log[number - 1])

    async def state(self) -> UpdateState:
        return UpdateState(pts=START.pts + len(self.log), qts=0, date=1)

    async def difference(self, since: UpdateState) -> Difference:
        await asyncio.sleep(0)
        first = since.pts - START.pts
        found = tuple(self.log[first : first + SLICE])
        after = UpdateState(pts=since.pts + len(found), qts=0, date=1)
        return Difference(says=found, state=after, more=first + len(found) < len(self.log))


class Worker:
    """Deals with messages in a few turns of the loop; what it has done outlives it, as SQL does."""

    def __init__(self) -> None:
        self.done: Counter[int] = Counter()
        self.failing = 0
        self.stuck = 0

    async def handle(self, said: Any, again: bool) -> None:
        for _ in range(said.message_id % 4):
            await asyncio.sleep(0)
        if self.failing:
            self.failing -= 1
            raise RuntimeError("not foreseen")
        if self.stuck:
            self.stuck -= 1
            await asyncio.Event().wait()
        self.done[said.message_id] += 1


class Story:
    """A worker's lives, one after the other."""

    def __init__(self) -> None:
        self.telegram, self.worker = Telegram(), Worker()
        self.late: list[Update] = []
        self.intake = self.begun(START)

    def begun(self, since: UpdateState) -> Intake:
        return Intake(line=self.telegram, handle=self.worker.handle, since=since)  # type: ignore[arg-type]

    async def pushed(self, *, times: int = 1) -> None:
        update = self.telegram.write()
        for _ in range(times):
            self.intake.pushed(Updates(updates=(update,), date=1))

    async def twice(self) -> None:
        await self.pushed(times=2)

    async def lost(self) -> None:
        self.telegram.write()

    async def comes_late(self) -> None:
        self.late.append(self.telegram.write())

    async def fails(self) -> None:
        self.worker.failing += 1

    async def is_stuck(self) -> None:
        self.worker.stuck += 1

    async def turns(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        for update in self.late:
            self.intake.pushed(Updates(updates=(update,), date=1))
        self.late.clear()
        if self.intake.has_hole:
            await self.intake.catch_up()

    async def crash(self) -> None:
        """What was kept at that moment is all that is left."""
        kept = self.intake.done
        await self.intake.finish(0)
        self.late.clear()
        self.intake = self.begun(kept)
        await self.intake.catch_up()

    async def end(self) -> None:
        """One more start of the worker, in good health."""
        self.worker.failing = self.worker.stuck = 0
        await self.crash()
        await self.intake.compare(await self.telegram.state())
        await self.intake.finish(5)


def never_ahead(state: UpdateState, worker: Worker) -> None:
    """All that lies before the state is dealt with."""
    assert all(worker.done[number] for number in range(1, state.pts - START.pts + 1))


@given(st.lists(STEP, max_size=40))
@settings(max_examples=300, deadline=None)
def test_every_message_is_dealt_with_and_the_state_is_never_ahead_of_it(steps: list[str]) -> None:
    async def told() -> None:
        story = Story()
        for step in steps:
            await getattr(story, step)()
            never_ahead(story.intake.done, story.worker)
        await story.end()
        assert sorted(story.worker.done) == list(range(1, len(story.telegram.log) + 1))
        assert story.intake.done == await story.telegram.state()

    with patch("bot.intake.TRIES", (0.0,) * 45):
        asyncio.run(told())


async def test_one_that_nobody_can_deal_with_is_given_up_and_holds_up_nothing() -> None:
    telegram, worker = Telegram(), Worker()
    with patch("bot.intake.TRIES", (0.0, 0.0)):
        intake = Intake(line=telegram, handle=worker.handle, since=START)  # type: ignore[arg-type]
        worker.failing = 2
        intake.pushed(Updates(updates=(telegram.write(),), date=1))
        await intake.finish(5)
        intake.pushed(Updates(updates=(telegram.write(),), date=1))
        await intake.finish(5)
        await asyncio.sleep(0)
    assert worker.done == Counter({2: 1})
    assert intake.done.pts == START.pts + 2


async def test_a_bot_that_is_refused_ends_the_line_and_forgets_no_message() -> None:
    telegram = Telegram()

    async def refused(_said: Any, _again: bool) -> None:
        raise Dismissed("banned")

    intake = Intake(line=telegram, handle=refused, since=START)  # type: ignore[arg-type]
    intake.pushed(Updates(updates=(telegram.write(),), date=1))
    with pytest.raises(Dismissed):
        await intake.follow()
    await intake.finish(1)
    assert intake.done == START


async def test_numbers_without_a_message_count_as_done_at_once() -> None:
    intake = Intake(line=Telegram(), handle=Worker().handle, since=START)  # type: ignore[arg-type]
    intake.pushed(
        Updates(
            updates=(
                Update(sequence="pts", end=12, count=2),
                Update(sequence="qts", end=1, count=1),
            ),
            date=7,
        )
    )
    assert intake.done == UpdateState(pts=12, qts=1, date=7)
