"""A database that somebody brought back from a copy of their own: the worker erases again before it settles anything."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select

from backends.sql.ledger import SqlLedger
from backends.sql.schema import bot_users, clicks
from daemon.worker import work
from domain.clock import SystemClock
from privacy.erasure_journal import ErasureJournal
from privacy.keyring import Keyring
from tests.daemon_fixture import Site
from tests.making import full_click, new_id, start_of

PERSON = 4242


async def test_whoever_the_journal_names_is_erased_before_a_spool_is_settled(site: Site) -> None:
    clock = SystemClock()
    ring = Keyring(site.settings.secrets, clock)
    click = full_click(id=new_id(clock.now_ms() - 5000))
    async with site.engine() as engine:
        await SqlLedger(engine, ring.person_key).settle([click], [start_of(click, PERSON)], [])
    ErasureJournal.beside(site.settings.secrets).add({ring.person_key(PERSON): clock.now_ms()})

    stop = asyncio.Event()
    working = asyncio.create_task(work(site.settings, clock, stop))
    async with site.engine() as engine, asyncio.timeout(30), engine.connect() as connection:
        erased = select(func.count()).where(clicks.c.erased_at.is_not(None))
        while not (await connection.execute(erased)).scalar_one():
            await connection.rollback()
            await asyncio.sleep(0.05)
        known = await connection.execute(select(func.count()).where(bot_users.c.telegram_id == PERSON))
        assert known.scalar_one() == 0
    stop.set()
    await working
