"""`python -m chaos.proxy PORT HOST SERVER_PORT CONTROL`: the process of a proxy. See chaos/proxy/process.py."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from chaos.proxy.control import listen
from chaos.proxy.house import House
from chaos.proxy.trouble import NONE


async def serve(port: int, leads_to: tuple[str, int], control: Path) -> None:
    """Until SIGTERM."""
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    house = House(port, leads_to)
    await house.set(NONE)
    server = await listen(house, control)
    await done.wait()
    server.close()


def main() -> None:
    """As the arguments say."""
    port, host, server_port, control = sys.argv[1:]
    uvloop.run(serve(int(port), (host, int(server_port)), Path(control)))


if __name__ == "__main__":
    main()
