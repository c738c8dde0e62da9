"""What a restored backup undid: it is the operator's loss, no broken promise, and counted apart."""

from __future__ import annotations

from collections.abc import Callable

from chaos.checker.held import Held
from chaos.checker.tokens import read
from chaos.crowd.told import Clicked, Started, Told


def without_undone(told: Told, held: Held, undone: Callable[[float], bool]) -> tuple[Told, int]:
    """What was told, less the facts of such moments (monotonic seconds) that SQL no longer has; and how many those are."""
    clicks = [click for click in told.clicks if not (undone(click.at) and _is_missing(click, held))]
    starts = [start for start in told.starts if not (undone(start.at) and _is_disowned(start, held))]
    lost = len(told.clicks) - len(clicks) + len(told.starts) - len(starts)
    return Told(clicks=clicks, starts=starts), lost


def _is_missing(click: Clicked, held: Held) -> bool:
    row = held.clicks.get(read(click.token).click) if click.redirected else None
    return click.redirected and (row is None or not (row.has_click or row.erased))


def _is_disowned(start: Started, held: Held) -> bool:
    """Nobody owns the click any more, or it was given away again, where this person was told to own it."""
    row = held.clicks.get(read(start.token).click)
    if start.status != 200 or (row is not None and row.erased):
        return False
    owner = None if row is None else row.owner
    return owner is None or (start.owner and owner[1] != start.person)
