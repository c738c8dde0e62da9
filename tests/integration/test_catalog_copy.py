"""The copy of the catalog, written by several daemons of one home at the same time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec

from domain.links import Catalog
from runtime.settings import child_environment
from tests.system import ROOT

WRITERS = 3
READS = 100
_WRITER = """
import asyncio, sys
from pathlib import Path
from backends.catalog_cache import CatalogCache
from domain.clock import SystemClock
from domain.links import Bot, Catalog, Link

class Source:
    version_now = 0
    async def version(self):
        self.version_now += 1
        return self.version_now
    async def load(self):
        # Of another length each time, so that a mixture of two could not be read.
        bots = tuple(Bot(id=n, username=f"bot_number_{n}") for n in range(1, 200 + 997 * self.version_now % 4000))
        return Catalog(version=self.version_now, bots=bots)

async def main():
    cache = CatalogCache(Source(), Path(sys.argv[1]), SystemClock())
    while True:
        await cache.refresh()

asyncio.run(main())
"""


async def test_a_reader_never_finds_a_torn_copy_whoever_else_is_writing(tmp_path: Path) -> None:
    copy = tmp_path / "catalog.json"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(copy)],
            cwd=ROOT,
            env=child_environment() | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
        )
        for _ in range(WRITERS)
    ]
    seen = set()
    try:
        async with asyncio.timeout(60):
            while not copy.exists():
                await asyncio.sleep(0.01)
            while len(seen) < READS:
                seen.add(copy.stat().st_mtime_ns)
                msgspec.json.decode(copy.read_bytes(), type=Catalog)
                await asyncio.sleep(0)
    finally:
        for writer in writers:
            writer.kill()
        said = b"".join(writer.communicate()[1] for writer in writers)
    assert said == b""
