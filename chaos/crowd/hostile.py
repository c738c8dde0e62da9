"""`python -m chaos.crowd.hostile JOB SAID`: holds connections, drips and shouts until stdin ends, and writes what it did.

It runs beside the crowd and comes from loopback addresses of its own, as strangers do.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from chaos.crowd.visitor import HOST, NO_ANSWER

ADDRESSES = [f"127.0.66.{number}" for number in range(1, 21)]
HEAD = b"GET /go/promo HTTP/1.1\r\nHost: go.example.com\r\n"
HUGE = b"X-Huge: " + b"y" * 20_000_000 + b"\r\n\r\n"
MANY = b"".join(b"X-%d: y\r\n" % number for number in range(10_000)) + b"\r\n"
AGAIN_SECONDS = 0.5
COME_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`idle` connections that say nothing and `slow` ones with a byte a second, in turn on these `ports`."""

    ports: list[int]
    idle: int
    slow: int

    def save(self, path: Path) -> None:
        """Into a file."""
        path.write_text(json.dumps(asdict(self)))


Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


async def _idle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"X-Slow: ")
    reading = asyncio.ensure_future(reader.read())
    try:
        while not reading.done():
            writer.write(b"a")
            await asyncio.wait({reading}, timeout=1.0)
    finally:
        reading.cancel()


def _shout(words: bytes) -> Attack:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + words)
        await reader.read()
        await asyncio.sleep(AGAIN_SECONDS)

    return shout


async def attack(job: Job) -> Counter[str]:
    """How often each thing was begun, until stdin ends. They all come within COME_SECONDS: strangers are not one program."""
    done: Counter[str] = Counter()
    kinds: list[tuple[str, Attack]] = [
        *[("idle", _idle)] * job.idle,
        *[("slow", _drip)] * job.slow,
        ("huge", _shout(HUGE)),
        ("many", _shout(MANY)),
    ]
    attackers = [
        asyncio.create_task(
            _again(
                number / len(kinds) * COME_SECONDS,
                job.ports[number % len(job.ports)],
                number,
                kind,
                what,
                done,
            )
        )
        for number, (kind, what) in enumerate(kinds)
    ]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for attacker in attackers:
        attacker.cancel()
    await asyncio.gather(*attackers, return_exceptions=True)
    return done


async def _again(seconds: float, port: int, number: int, kind: str, what: Attack, done: Counter[str]) -> None:
    """One attacker: comes after so many seconds, and whenever it is thrown out, it comes back."""
    await asyncio.sleep(seconds)
    source = (ADDRESSES[number % len(ADDRESSES)], 0)
    while True:
        try:
            reader, writer = await asyncio.open_connection(HOST, port, local_addr=source)
            done[kind] += 1
            try:
                await what(reader, writer)
            finally:
                writer.transport.abort()
        except NO_ANSWER:
            await asyncio.sleep(AGAIN_SECONDS)


def main() -> None:
    """From the command line."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    Path(sys.argv[2]).write_text(json.dumps(uvloop.run(attack(job))))


if __name__ == "__main__":
    main()
