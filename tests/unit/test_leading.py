"""Jobs of the leader: they wait for the leadership, and stop when it is lost."""

from __future__ import annotations

import asyncio

import pytest

from backends.sql.leader import Alone, PostgresLeader, make_leader
from daemon.leading import Leading
from domain.clock import ManualClock
from domain.observations import Silent


class Told(Silent):
    """Remembers what it was told of the leadership."""

    def __init__(self) -> None:
        self.leads = list[bool]()

    def leader(self, *, leads: bool) -> None:
        self.leads.append(leads)


class Switched:
    """A leader as a test says. `looked`: how often it was asked to look."""

    def __init__(self, *, leads: bool) -> None:
        self.leads = leads
        self.looked = asyncio.Event()

    async def look(self) -> None:
        self.looked.set()

    async def resign(self) -> None:
        self.leads = False


class Job:
    """Work of two steps; the second may begin once it is let."""

    def __init__(self) -> None:
        self.steps = list[str]()
        self.begun, self.let = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> str:
        self.steps.append("first")
        self.begun.set()
        await self.let.wait()
        self.steps.append("second")
        return "done"


async def test_a_job_waits_until_this_worker_leads() -> None:
    leader, job = Switched(leads=False), Job()
    leading = Leading(leader, Silent())
    job.let.set()
    keeping = asyncio.create_task(leading.keep())
    doing = asyncio.create_task(leading.only(job)())
    await leader.looked.wait()
    await asyncio.sleep(0)
    assert job.steps == []
    leader.leads = True
    async with asyncio.timeout(30):
        assert await doing == "done"
    keeping.cancel()


async def test_a_job_is_stopped_before_its_next_step_when_the_leadership_is_lost() -> None:
    leader, job = Switched(leads=True), Job()
    leading = Leading(leader, Silent())
    keeping = asyncio.create_task(leading.keep())
    doing = asyncio.create_task(leading.only(job)())
    async with asyncio.timeout(30):
        await job.begun.wait()
        leader.leads = False
        assert await doing is None
    job.let.set()
    assert job.steps == ["first"]
    keeping.cancel()


async def test_what_a_job_fails_of_is_its_callers_to_hear() -> None:
    leading = Leading(Switched(leads=True), Silent())
    keeping = asyncio.create_task(leading.keep())

    async def broken() -> None:
        raise LookupError("what happened")

    with pytest.raises(LookupError, match="what happened"):
        await leading.only(broken)()
    keeping.cancel()


async def test_who_is_cancelled_takes_the_job_along() -> None:
    leading, job = Leading(Switched(leads=True), Silent()), Job()
    keeping = asyncio.create_task(leading.keep())
    doing = asyncio.create_task(leading.only(job)())
    await job.begun.wait()
    doing.cancel()
    await asyncio.wait({doing})
    job.let.set()
    await asyncio.sleep(0)
    assert job.steps == ["first"]
    keeping.cancel()


async def test_the_metric_says_whether_it_leads() -> None:
    leader, told = Switched(leads=True), Told()
    keeping = asyncio.create_task(Leading(leader, told).keep())
    await leader.looked.wait()
    await asyncio.sleep(0)
    assert told.leads == [True]
    keeping.cancel()


def test_on_sqlite_the_one_machine_leads() -> None:
    assert isinstance(make_leader("sqlite+aiosqlite:///x.db", 3, ManualClock()), Alone)
    assert isinstance(make_leader("postgresql+asyncpg://u@h/d", 3, ManualClock()), PostgresLeader)
