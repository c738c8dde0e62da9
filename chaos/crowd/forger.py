"""`python -m chaos.crowd.forger JOB SAID`: presses START with forged tokens until stdin ends, and writes what it was told.

It runs beside the crowd, so that its work is not charged to those whose redirects are timed.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from chaos.crowd.starts import request_of
from chaos.crowd.visitor import NO_ANSWER, Visitor

AT_ONCE = 20
NOBODY = 6_000_000_000
CLICK, MAC = slice(6, 22), slice(30, 46)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`rate` starts a second in turn on the private `ports`, with tokens made of these, which were given to others."""

    ports: list[int]
    api_key: str
    bot: str
    rate: float
    tokens: list[str]

    def save(self, path: Path) -> None:
        """Into a file for this user only."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))


def forged(token: str, number: int) -> str:
    """What could be tried: random bytes, another MAC, another click under the same MAC, one character less."""
    raw = bytearray(urlsafe_b64decode(token + "=="))
    kind = number % 4
    if kind == 0:
        raw[1:] = secrets.token_bytes(len(raw) - 1)
    elif kind == 1:
        raw[MAC] = secrets.token_bytes(16)
    elif kind == 2:
        raw[CLICK] = secrets.token_bytes(16)
    made = urlsafe_b64encode(raw).rstrip(b"=").decode()
    return made[:-1] if kind == 3 else made


async def forge(job: Job) -> Counter[int]:
    """How often each status was answered; 0: not at all."""
    statuses: Counter[int] = Counter()
    over = asyncio.Event()
    asyncio.get_running_loop().run_in_executor(None, sys.stdin.read).add_done_callback(lambda _: over.set())
    async with asyncio.TaskGroup() as forgers:
        for number in range(AT_ONCE):
            forgers.create_task(_press(job, number, statuses, over))
    return statuses


async def _press(job: Job, number: int, statuses: Counter[int], over: asyncio.Event) -> None:
    """One of the forgers: the next token at its moment, or as soon as the last is answered. They take turns, as strangers do."""
    visitor, moment = Visitor(job.ports[number % len(job.ports)]), time.monotonic() + number / job.rate
    await asyncio.sleep(number / job.rate)
    while not over.is_set():
        statuses[await _asked(visitor, job, forged(job.tokens[number % len(job.tokens)], number))] += 1
        number += AT_ONCE + 1
        moment += AT_ONCE / job.rate
        await asyncio.sleep(moment - time.monotonic())
    await visitor.leave()


async def _asked(visitor: Visitor, job: Job, token: str) -> int:
    body = json.dumps({"token": token, "bot": job.bot, "telegram_id": NOBODY})
    try:
        async with asyncio.timeout(10):
            return (await visitor.ask(request_of(job.api_key, body)))[0]
    except NO_ANSWER:
        await visitor.leave()
        return 0


def main() -> None:
    """From the command line."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    began = time.monotonic()
    statuses = uvloop.run(forge(job))
    said = {"seconds": round(time.monotonic() - began, 3), "statuses": dict(statuses)}
    Path(sys.argv[2]).write_text(json.dumps(said))


if __name__ == "__main__":
    main()
