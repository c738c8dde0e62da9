"""The people who press START: each start is asked for again until somebody has answered it, as a bot would."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from chaos.crowd.plan import FIRST_PERSON, Plan
from chaos.crowd.told import Notebook, Started
from chaos.crowd.visitor import NO_ANSWER, Visitor

AGAIN_SECONDS = 0.5
AT_ONCE = 32


class Starts:
    """Redeems tokens through the private API, and writes down every answer.

    A start that nobody has answered is asked for again, with the same update id, until `give_up` is called.
    """

    def __init__(self, plan: Plan, notebook: Notebook) -> None:
        self._plan = plan
        self._notebook = notebook
        self._tasks: set[asyncio.Task[None]] = set()
        self._free: dict[int, deque[Visitor]] = {port: deque() for port in plan.private}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._asked = 0
        self._giving_up = asyncio.Event()

    def heard(self, number: int, token: str) -> None:
        """That visitor has this token; who presses START will do so a little later."""
        plan = self._plan
        if not plan.start_each or number % plan.start_each:
            return
        for person, after in self._people(number // plan.start_each, number):
            task = asyncio.get_running_loop().create_task(self._start(token, person, after))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def give_up(self) -> None:
        """Whatever is not answered now stays unanswered."""
        self._giving_up.set()

    async def run(self) -> None:
        """Until every start has its answer, or is given up."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))
        for free in self._free.values():
            while free:
                await free.popleft().leave()

    def _people(self, start: int, number: int) -> Iterator[tuple[int, float]]:
        """Who sends this token, and after how long: usually one person, sometimes two, sometimes one person twice."""
        plan, person = self._plan, FIRST_PERSON + 2 * number
        yield person, plan.start_after
        if plan.contest_each and start % plan.contest_each == 1:
            yield person + 1, plan.start_after + plan.contest_after
        elif plan.repeat_each and start % plan.repeat_each == 1:
            yield person, plan.start_after

    async def _start(self, token: str, person: int, after: float) -> None:
        await asyncio.sleep(after)
        self._asked += 1
        update = self._asked
        body = {"token": token, "bot": self._plan.bot, "telegram_id": person, "update_id": update}
        request = request_of(self._plan.api_key, json.dumps(body))
        port = self._plan.private[update % len(self._plan.private)]
        while not await self._ask(port, request, token, person) and not self._giving_up.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._giving_up.wait(), AGAIN_SECONDS)

    async def _ask(self, port: int, request: bytes, token: str, person: int) -> bool:
        """Whether the answer was final: an owner is known, or the start is kept for later."""
        free, at = self._free[port], time.monotonic()
        status = 0
        said: dict[str, Any] = {}
        async with self._room:
            visitor = free.popleft() if free else Visitor(port)
            try:
                async with asyncio.timeout(self._plan.patience):
                    status, _, raw = await visitor.ask(request)
                said = json.loads(raw) if status == 200 else {}
                free.append(visitor)
            except NO_ANSWER:
                await visitor.leave()
        self._notebook.started(Started.now(at, token, person, status, said))
        return status == 200


def request_of(api_key: str, body: str) -> bytes:
    """A start as it goes over the wire."""
    lines = (
        "POST /v1/starts HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {api_key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body.encode())}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
