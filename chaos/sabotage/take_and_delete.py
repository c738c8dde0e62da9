"""Whose a click is is decided by taking it out of Redis: who gets it owns it, and nobody asks SQL.

GETDEL looks atomic, and is. But a reply that is lost is asked for again, and then the click is gone: the person who took it
is told that somebody else has. And whatever puts the click into Redis once more (an old copy of its data, a second writer)
gives it a second owner. Who has had it: one-time codes and coupons kept in Redis or in a row that is deleted when redeemed;
RudderStack wrote the key that says "done" before the data (PR 709). Found by: a reply lost after Redis applied the command,
a process killed before its answer, FLUSHALL, an old snapshot of Redis. Without Redis nobody owns anything.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace as but
from typing import Any

from backends.codec import decode_click
from backends.redis import PREFIX
from backends.redis_line import command
from backends.redis_topology import Ask
from bot.associate import Associate
from chaos.inside.patch import replace
from domain.attribution import Start
from domain.click import Click
from domain.errors import StoreUnavailable
from domain.outcomes import LedgerRow


def plant() -> None:
    """Take it, and answer by that; SQL is told, and what it says is not heard."""

    def recording(recorded: Any) -> Any:
        async def take(self: Any, start: Start, click: Click | None) -> LedgerRow | None:
            if start.click is None:
                row: LedgerRow | None = await recorded(self, start, click)
                return row
            taken = await _taken(self._unsettled, start)
            if taken is None:
                return _nobodys(start)
            row = await recorded(self, start, taken)
            return None if row is None else but(row, owner=start.owner, click=taken)

        return take

    replace(Associate, "_recorded", recording)


async def _taken(chain: Any, start: Start) -> Click | None:
    """The click, by whoever asks first; a reply that is lost is asked for once more."""
    tier = chain._tiers.redis  # noqa: SLF001  a bug takes the short way
    if tier is None or start.click is None:
        return None
    key = PREFIX + start.click.id.hex
    wanted = Ask(key.encode(), command("GETDEL", key))
    with suppress(StoreUnavailable):
        return _click(await tier.store.topology.read(wanted))
    return _click(await tier.store.topology.read(wanted))


def _click(reply: Any) -> Click | None:
    return decode_click(reply) if isinstance(reply, bytes) else None


def _nobodys(start: Start) -> LedgerRow | None:
    if start.click is None:
        return None
    return LedgerRow(
        click=None,
        owner=None,
        started_at_ms=None,
        link_id=start.click.link_id,
        ad_key=start.click.ad_key,
        spooled=False,
    )
