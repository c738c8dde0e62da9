"""`python -m chaos.balancer PORT FILE PUBLIC:PRIVATE …`: the process of a balancer. See chaos/balancer/process.py."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvloop

from chaos.balancer.front import Front
from chaos.balancer.rotation import Rotation, Upstream
from chaos.servers import HOST


async def serve(port: int, asked_again: Path, upstreams: Sequence[Upstream]) -> None:
    """Until SIGTERM. `asked_again`: the file of the targets that were."""
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    notes = asked_again.open("ab", buffering=0)
    front = Front(Rotation(upstreams), lambda target: void(notes.write(target + b"\n")))
    looking = asyncio.create_task(front.look_at_all())
    server = await asyncio.start_server(front.serve, HOST, port)
    await done.wait()
    server.close()
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking


def void(_: object) -> None:
    """Nothing of it."""


def main() -> None:
    """As the arguments say."""
    port, asked_again, *upstreams = sys.argv[1:]
    uvloop.run(serve(int(port), Path(asked_again), [Upstream.parse(each) for each in upstreams]))


if __name__ == "__main__":
    main()
