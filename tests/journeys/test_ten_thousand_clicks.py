"""Ten thousand clicks and three thousand starts, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import httpx2

from tests.system import BOT, System

CLICKS = 10_000
EARLY = 500
CONTESTED, RIVALS = 200, 5
REPEATED, TIMES = 500, 3


async def _start(api: httpx2.AsyncClient, token: str, person: int) -> tuple[str, int, bool | None]:
    """Whether that person was told to be the owner; None when the start was kept for later."""
    answer = await api.post("/v1/starts", json={"token": token, "bot": BOT, "telegram_id": person})
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return token, person, said["owner"] if said["state"] == "settled" else None


async def _all(api: httpx2.AsyncClient, asked: list[tuple[str, int]]) -> list[tuple[str, int, bool | None]]:
    gate = asyncio.Semaphore(24)

    async def one(token: str, person: int) -> tuple[str, int, bool | None]:
        async with gate:
            return await _start(api, token, person)

    return await asyncio.gather(*(one(*pair) for pair in asked))


async def test_every_click_is_in_sql_and_every_token_has_exactly_one_owner(system: System) -> None:
    """I2, I3, I4, I8: 10,000 clicks; 3,000 starts: 1,000 by five rivals a token, 500 before their click, 1,500 repeats."""
    system.start("serve", "work")
    # The worker stands still, so that the first clicks are certainly not settled when their starts come.
    system.signal("work", signal.SIGSTOP)
    load = system.load(rate=1, seconds=EARLY)
    await load.burst(32)
    async with system.api() as api:
        early = await _all(api, [(token, 1000 + n) for n, token in enumerate(load.tokens)])
        system.signal("work", signal.SIGCONT)
        rest = system.load(rate=1, seconds=CLICKS - EARLY)
        await rest.burst(32)
        contested, repeated = rest.tokens[:CONTESTED], rest.tokens[CONTESTED : CONTESTED + REPEATED]
        rivals = await _all(api, [(token, 9000 + rival) for token in contested for rival in range(RIVALS)])
        again = await _all(api, [(token, 5000 + n) for _ in range(TIMES) for n, token in enumerate(repeated)])
    refused = [*load.others, *rest.others]
    assert not refused
    assert load.errors + rest.errors == 0
    starts = [*early, *rivals, *again]
    assert len(starts) == 3000
    books = await system.settled_books(issued=CLICKS)
    rows = await system.rows()

    issued = {system.click_id(token) for token in (*load.tokens, *rest.tokens)}
    assert len(issued) == CLICKS
    assert issued == set(rows), "a click is missing in SQL, or one was invented"
    assert books.balanced, books.faults
    assert books.issued == CLICKS

    redeemed = {system.click_id(token) for token, _, _ in starts}
    assert {click for click, owner in rows.items() if owner} == redeemed, (
        "a start was lost, or one was invented"
    )
    winners = Counter(token for token, _, owner in rivals if owner)
    assert max(winners.values()) == 1, "two people were told that they own one click"
    for token, person, told in starts:
        owner = rows[system.click_id(token)]
        assert owner is not None
        assert told is None or (owner[1] == person) == told, "SQL and the answer name different owners"
    assert sum(told is None for _, _, told in starts) < len(starts) / 20, (
        "starts were deferred with SQL healthy"
    )
    assert sorted(await system.outbox_clicks()) == sorted(redeemed), (
        "an owned click without its one conversion"
    )
