"""`python -m chaos.balancer PORT PUBLIC:PRIVATE …`: the process of a balancer. See chaos/balancer/process.py."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import uvloop

from chaos.balancer.front import Front
from chaos.balancer.rotation import Rotation, Upstream
from chaos.servers import HOST


async def serve(port: int, upstreams: Sequence[Upstream]) -> None:
    """Until SIGTERM."""
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    front = Front(Rotation(upstreams))
    looking = asyncio.create_task(front.look_at_all())
    server = await asyncio.start_server(front.serve, HOST, port)
    await done.wait()
    server.close()
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking


def main() -> None:
    """As the arguments say."""
    port, *upstreams = sys.argv[1:]
    uvloop.run(serve(int(port), [Upstream.parse(each) for each in upstreams]))


if __name__ == "__main__":
    main()
