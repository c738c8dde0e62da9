"""A thousand people press START while everything that can go wrong does: the worker is killed five times, its line drops and
freezes, Redis and SQL die in turn. Every start is attributed, every person is answered once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2

from backends.sql.schema import bot_users, starts
from chaos.servers import PostgresServer, ValkeyServer
from tests.bot.office import Office, WorkerProcess
from tests.daemon_fixture import SLUG
from tests.telegram.server import LoopbackTelegram

PEOPLE = 1000
RATE = 50
HEAL_SECONDS = 120.0

# Seconds after the first START.
TROUBLE = (
    (1.0, "kill"),
    (3.0, "drop"),
    (4.0, "redis dies"),
    (5.5, "kill"),
    (7.0, "redis is back"),
    (7.5, "sql freezes"),
    (9.5, "sql thaws"),
    (10.0, "kill"),
    (11.5, "telegram freezes"),
    (13.0, "telegram thaws"),
    (14.0, "flood"),
    (14.5, "sql dies"),
    (15.0, "kill"),
    (17.0, "sql is back"),
    (18.0, "drop"),
    (19.0, "kill"),
)


class Story:
    """What is running, and what happens to it."""

    def __init__(self, office: Office, valkey: ValkeyServer, postgres: PostgresServer) -> None:
        self.office = office
        self.telegram = office.telegram
        self.valkey = valkey
        self.postgres = postgres
        self.worker: WorkerProcess

    async def trouble(self) -> None:
        began = asyncio.get_running_loop().time()
        for at, what in TROUBLE:
            await asyncio.sleep(max(0.0, began + at - asyncio.get_running_loop().time()))
            await self._happen(what)

    async def _happen(self, what: str) -> None:
        if what == "kill":
            await self.worker.kill()
            self.worker = await self.office.process(ready=False)
            return
        doing: dict[str, Callable[[], object]] = {
            "drop": self.telegram.drop,
            "flood": lambda: self.telegram.flood(self.office.bot, 2, times=3),
            "telegram freezes": self.telegram.freeze,
            "telegram thaws": self.telegram.thaw,
            "sql freezes": self.postgres.freeze,
            "sql thaws": self.postgres.thaw,
        }
        waiting: dict[str, Callable[[], object]] = {
            "redis dies": self.valkey.kill,
            "redis is back": self.valkey.start,
            "sql dies": self.postgres.kill,
            "sql is back": self.postgres.start,
        }
        if what in doing:
            doing[what]()
        else:
            await asyncio.to_thread(waiting[what])

    async def press(self, tokens: list[str]) -> None:
        began = asyncio.get_running_loop().time()
        for number, token in enumerate(tokens):
            await asyncio.sleep(max(0.0, began + number / RATE - asyncio.get_running_loop().time()))
            person = self.telegram.person(10_000 + number, f"P{number}")
            await self.telegram.press_start(person, self.office.bot, f"/start {token}")

    async def until_settled(self) -> None:
        async with asyncio.timeout(HEAL_SECONDS):
            while len(await self.office.site.rows(starts)) < PEOPLE:
                await asyncio.sleep(0.5)


async def clicked(office: Office, number: int) -> list[str]:
    """The tokens of so many clicks."""
    target = f"http://{office.site.settings.public_bind}/go/{SLUG}"
    async with httpx2.AsyncClient() as client:
        answers = [await client.get(f"{target}?fbclid=f{n}") for n in range(number)]
    return [answer.headers["location"].partition("?start=")[2] for answer in answers]


async def test_a_thousand_starts_are_a_thousand_attributions_and_one_answer_each(
    tmp_path: Path, own_valkey: ValkeyServer, own_postgres: PostgresServer
) -> None:
    """I1-I5, I9: whatever dies meanwhile."""
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(LoopbackTelegram(tmp_path / "telegram"))
        office = await Office.prepared(
            tmp_path / "home",
            telegram,
            redis_url=own_valkey.url,
            sql_url=own_postgres.create_database("starts"),
        )
        for name in ("serve", "work"):
            stack.push_async_callback((await office.command(name)).stop)
        await office.until_serving()
        tokens = await clicked(office, PEOPLE)
        story = Story(office, own_valkey, own_postgres)
        story.worker = await office.process()
        await asyncio.gather(story.press(tokens), story.trouble())
        await telegram.wait_for(lambda: len(telegram.sent) >= PEOPLE, seconds=HEAL_SECONDS)
        await story.until_settled()
        await story.worker.stop()

        answers = Counter(sent.chat_id for sent in telegram.sent)
        print(f"answers sent again and refused by Telegram: {telegram.duplicates}")
        assert answers == Counter({10_000 + n: 1 for n in range(PEOPLE)})
        owners = {row.id: row.owner_telegram_id for row in await office.site.rows()}
        assert [owners[office.site.read(token).id] for token in tokens] == list(answers_in_order(PEOPLE))
        assert Counter(start.kind for start in await office.site.rows(starts)) == {"attributed": PEOPLE}
        assert len(await office.site.rows(bot_users)) == PEOPLE


def answers_in_order(number: int) -> range:
    return range(10_000, 10_000 + number)
