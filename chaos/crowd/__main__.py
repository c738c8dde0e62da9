"""`python -m chaos.crowd PLAN TOLD`: click and start until told to stop.

Lines on stdin: `rate N` changes the clicks a second (0: stand still), `stop` ends the clicking and waits for the starts.
The end of stdin is a `stop`, so that no crowd outlives the drill that called it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import uvloop

from chaos.crowd.clicks import Clicks
from chaos.crowd.plan import Plan
from chaos.crowd.starts import Starts
from chaos.crowd.told import Notebook

STARTS_SECONDS = 60.0


async def crowd(plan: Plan, notebook: Notebook) -> None:
    """Both loops, and who tells them what to do."""
    starts = Starts(plan, notebook)
    clicks = Clicks(plan, notebook, starts.heard)
    listening = asyncio.create_task(_obey(clicks))
    await clicks.run()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STARTS_SECONDS):
            await starts.run()
    starts.give_up()
    await starts.run()
    listening.cancel()


async def _obey(clicks: Clicks) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := (await reader.readline()).decode().split():
        if line[0] == "rate":
            clicks.rate = float(line[1])
        else:
            break
    clicks.stop()


def main() -> None:
    """From the command line."""
    plan, told = Plan.load(Path(sys.argv[1])), Notebook(Path(sys.argv[2]))
    try:
        uvloop.run(crowd(plan, told))
    finally:
        told.close()


if __name__ == "__main__":
    main()
