"""What one click costs in each way to batch it: `python -m tests.bench_stores`. Prints the table of ADR 0009.

CPU microseconds a click of this process, best of five rounds, on files below --dir and a Valkey of its own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import redis.asyncio
import uvloop
from diskcache import Cache
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from backends.codec import Packed, encode_batch, pack
from backends.raw_disk import RawDisk
from backends.redis import RedisStore
from chaos.servers import ValkeyServer
from tests.making import full_click

SIZES = (1, 8, 32, 128)
CLICKS = 2048
ROUNDS = 5
Write = Callable[[Sequence[Packed]], Awaitable[object]]


def _cache(folder: str) -> Cache:
    return Cache(
        folder,
        timeout=5,
        disk=RawDisk,
        eviction_policy="none",
        cull_limit=0,
        tag_index=0,
        sqlite_synchronous=2,
    )


async def _cost(write: Write, size: int) -> float:
    """CPU microseconds a click, the best of the rounds."""
    costs = []
    for _ in range(ROUNDS):
        batches = [[pack(full_click(sealed=bytes(450))) for _ in range(size)] for _ in range(CLICKS // size)]
        began = time.process_time()
        for batch in batches:
            await write(batch)
        costs.append((time.process_time() - began) / CLICKS * 1e6)
    return min(costs)


async def _disk(folder: str) -> dict[str, list[float]]:
    each, whole = _cache(f"{folder}/each"), _cache(f"{folder}/whole")

    async def entry_per_click(batch: Sequence[Packed]) -> None:
        with each.transact():
            for click, raw in batch:
                each.set("c" + click.id.hex, raw)

    async def entry_per_batch(batch: Sequence[Packed]) -> None:
        whole.set("c" + batch[0].click.id.hex, encode_batch([raw for _, raw in batch]))

    rows = {
        "diskcache, one entry a click, one fsync a batch": [await _cost(entry_per_click, n) for n in SIZES],
        "diskcache, one entry a batch, one fsync a batch": [await _cost(entry_per_batch, n) for n in SIZES],
    }
    each.close()
    whole.close()
    return rows


async def _redis(server: ValkeyServer) -> dict[str, list[float]]:
    client = redis.asyncio.Redis(port=server.port, retry=Retry(NoBackoff(), 0), socket_timeout=1)
    store = RedisStore(server.url, ttl_ms=180_000)
    await store.probe()

    async def pipeline(batch: Sequence[Packed]) -> None:
        commands = client.pipeline(transaction=False)
        for click, raw in batch:
            commands.set("trilha:click:" + click.id.hex, raw, px=180_000, nx=True)
        await commands.execute()

    rows = {
        "redis-py, one pipeline a batch": [await _cost(pipeline, n) for n in SIZES],
        "one connection driven by hand on hiredis": [await _cost(store.put_batch, n) for n in SIZES],
    }
    await client.aclose()
    await store.close()
    return rows


async def _all(folder: str) -> dict[str, list[float]]:
    with ValkeyServer() as server:
        return await _disk(folder) | await _redis(server)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench_stores", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--dir", type=Path, help="where the disk is that is to be measured; default: the system's"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        rows = uvloop.run(_all(folder))
    print("| CPU µs a click, in batches of | " + " | ".join(map(str, SIZES)) + " |")
    print("|---|" + "---|" * len(SIZES))
    for name, costs in rows.items():
        print(f"| {name} | " + " | ".join(f"{cost:.1f}" for cost in costs) + " |")


if __name__ == "__main__":
    main()
