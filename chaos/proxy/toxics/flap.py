"""A way that comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from chaos.proxy.trouble import Trouble

Apply = Callable[[Trouble], Awaitable[None]]


async def flap(trouble: Trouble, apply: Apply, count: Callable[[], None]) -> None:
    """Half of each period as the trouble is otherwise, then half with every connection reset and new ones refused."""
    up = replace(trouble, flap_s=0.0)
    down = replace(up, reset=True, refuse=True)
    while True:
        await apply(up)
        await asyncio.sleep(trouble.flap_s / 2)
        count()
        await apply(down)
        await asyncio.sleep(trouble.flap_s / 2)
