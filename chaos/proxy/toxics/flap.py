"""A way that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace

from chaos.proxy.trouble import Trouble

Apply = Callable[[Trouble], Awaitable[None]]


async def flap(trouble: Trouble, apply: Apply, count: Callable[[], None], stop: asyncio.Event) -> None:
    """Half of each period as the trouble is otherwise, then half with every connection reset and new ones refused.

    It is stopped, not cancelled, so that no change is left half done.
    """
    up = replace(trouble, flap_s=0.0)
    down = replace(up, reset=True, refuse=True)
    for phase in itertools.cycle((up, down)):
        if stop.is_set():
            return
        if phase is down:
            count()
        await apply(phase)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), trouble.flap_s / 2)
