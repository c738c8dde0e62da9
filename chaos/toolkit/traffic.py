"""Actions that look at what the crowd is told while it is still there."""

from __future__ import annotations

import time

from chaos.toolkit.current import drill

UNDER_WAY_SECONDS = 0.5


def all_answered(seconds: float) -> None:
    """Wait so long, and then see that every visitor of that time was sent on. AssertionError, which says how many were not."""
    began = time.monotonic()
    time.sleep(seconds)
    until = time.monotonic() - UNDER_WAY_SECONDS
    clicks = [click for click in drill().told().clicks if began <= click.at < until]
    missed = sum(not click.redirected for click in clicks)
    if missed or not clicks:
        raise AssertionError(f"{missed} of {len(clicks)} visitors were not sent on")
    drill().mark(f"{len(clicks)} visitors in {seconds:g} s, all sent on")
