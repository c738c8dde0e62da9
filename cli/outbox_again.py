"""trilha outbox retry and replay: conversions sent once more."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated
from uuid import UUID

import typer

from backends.sql.outbox_again import Batch, Place
from backends.sql.outbox_wanted import Wanted
from cli.common import CLOCK, EXIT_FAILED, Json, run, show
from cli.hands import moment
from cli.outbox_asked import (
    DryRun,
    LaneName,
    OutboxHands,
    Pixel,
    Webhook,
    lane_asked,
    outbox_hands,
    progress,
    states_asked,
)
from domain.advice import MAY_HAVE_PASSED
from domain.conversions import LIFE_MS, UNATTRIBUTED, DeliveryState
from domain.errors import ConfigError

DEDUPLICATED_MS = 47 * 3_600_000
"""Meta keeps one of each event id within 48 hours of the first; an hour less, for what waits until it is sent."""
_AGAIN: tuple[DeliveryState, ...] = ("rejected", "dead", "skipped")
Move = Callable[[Place | None], Awaitable[Batch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """How many rows are due once more, and how many are not, as they are too old or were sent too long ago."""

    rows: int = 0
    too_old: int = 0
    too_late: int = 0


def retry(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]", help="Events by their ids or first 8 digits, or order ids."),
    ] = None,
    state: Annotated[
        str, typer.Option("--state", help="Which ones, with commas: rejected, dead, skipped.")
    ] = "rejected,dead",
    lane: LaneName = None,
    pixel: Pixel = None,
    webhook: Webhook = None,
    reason: Annotated[str, typer.Option("--reason", help="Only those whose reason contains this.")] = "",
    since: Annotated[
        str, typer.Option("--since", help="Events since then: ISO 8601 in your time zone, or 90m, 24h, 7d.")
    ] = "7d",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send what failed once more: after its cause is mended. Exits 1 when nothing is like that.

    Skipped ones are looked at again when `--state skipped` asks for it, by their links as they are now. What was skipped
    for an erasure or for Sec-GPC stays so.
    """
    states, of_lane = states_asked(state), lane_asked(lane, pixel, webhook)
    if not states or not set(states) <= set(_AGAIN):
        raise ConfigError("--state is rejected, dead or skipped. What was sent: trilha outbox replay")

    async def work() -> Moved:
        async with outbox_hands() as hands:
            events = await _events(hands, ids) if ids else None
            since_ms = 0 if ids else moment(since, hands.zone)
            wanted = Wanted(states=states, lane=of_lane, reason=reason, since_ms=since_ms, event_ids=events)
            return await _retried(hands, wanted, dry_run=dry_run)

    _tell(run(work()), dry_run=dry_run, as_json=as_json)


def replay(
    pixel: Annotated[str, typer.Option("--pixel", help="The pixel that is to get them once more.")],
    since: Annotated[
        str, typer.Option("--since", help="Events since then: ISO 8601 in your time zone, or 90m, 24h, 7d.")
    ],
    until: Annotated[
        str, typer.Option("--until", help="Events before then, in the same ways; default: now.")
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Also what was sent more than 47 hours ago: it may count twice.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send what Meta has accepted once more, under the same event ids: after Meta has lost events. Exits 1 when there is none.

    Meta keeps one of each id within 48 hours, so that nothing is counted twice. What was sent before is left out.
    """
    lane = lane_asked(None, pixel, None)

    async def work() -> Moved:
        async with outbox_hands() as hands:
            begin, end = moment(since, hands.zone), moment(until, hands.zone)
            if begin >= end:
                raise ConfigError("--since must lie before --until")
            wanted = Wanted(states=("sent",), lane=lane, since_ms=begin, until_ms=end)
            return await _replayed(hands, wanted, force=force, dry_run=dry_run)

    _tell(run(work()), dry_run=dry_run, as_json=as_json)


async def _retried(hands: OutboxHands, wanted: Wanted, *, dry_run: bool) -> Moved:
    now_ms, again = CLOCK.now_ms(), hands.again
    young, too_old = await _young(hands, wanted, now_ms)
    moves: list[Move] = []
    if failed := tuple(state for state in wanted.states if state != "skipped"):
        moves.append(partial(again.failed, replace(young, states=failed), now_ms=now_ms, dry_run=dry_run))
    if "skipped" in wanted.states:
        moves.append(partial(again.skipped, young, because=MAY_HAVE_PASSED, now_ms=now_ms, dry_run=dry_run))
        if wanted.lane in (None, UNATTRIBUTED):
            moves.append(partial(again.rerouted, young, now_ms=now_ms, dry_run=dry_run))
    return Moved(rows=await _all(moves), too_old=too_old)


async def _replayed(hands: OutboxHands, wanted: Wanted, *, force: bool, dry_run: bool) -> Moved:
    now_ms, again = CLOCK.now_ms(), hands.again
    young, too_old = await _young(hands, wanted, now_ms)
    bound, too_late = now_ms - DEDUPLICATED_MS, 0
    if not force:
        too_late = await again.count(replace(young, sent_before_ms=bound))
        young = replace(young, sent_since_ms=bound)
    rows = await _all([partial(again.sent, young, now_ms=now_ms, dry_run=dry_run)])
    return Moved(rows=rows, too_old=too_old, too_late=too_late)


async def _young(hands: OutboxHands, wanted: Wanted, now_ms: int) -> tuple[Wanted, int]:
    """Those that a destination still takes, and how many it takes no more."""
    bound = now_ms - LIFE_MS
    if wanted.since_ms >= bound:
        return wanted, 0
    until_ms = bound if wanted.until_ms is None else min(bound, wanted.until_ms)
    return replace(wanted, since_ms=bound), await hands.again.count(replace(wanted, until_ms=until_ms))


async def _all(moves: list[Move]) -> int:
    """Batch after batch, each move to its end."""
    rows = 0
    with progress("due once more") as shown:
        task = shown.add_task("", total=None)
        for move in moves:
            batch = await move(None)
            rows += batch.rows
            while batch.after is not None:
                shown.update(task, completed=rows)
                batch = await move(batch.after)
                rows += batch.rows
    return rows


async def _events(hands: OutboxHands, names: list[str]) -> tuple[UUID, ...]:
    """The events of those names; ConfigError for a name that no event has."""
    found: dict[UUID, None] = {}
    for name in names:
        entries = await hands.reading.of(name)
        if not entries:
            raise ConfigError(f"the outbox has no event or order {name!r}. See: trilha outbox list")
        found |= dict.fromkeys(entry.event_id for entry in entries)
    return tuple(found)


def _tell(moved: Moved, *, dry_run: bool, as_json: bool) -> None:
    lines = [f"{'would be due' if dry_run else 'due'} once more: {moved.rows}"]
    if moved.too_old:
        lines.append(f"older than 7 days: {moved.too_old}, which no destination takes any more")
    if moved.too_late:
        lines.append(
            f"sent more than 47 hours ago: {moved.too_late}, left out as they would count twice; --force sends them"
        )
    value = {"due": moved.rows, "too_old": moved.too_old, "sent_too_long_ago": moved.too_late}
    show(value | {"dry_run": dry_run}, as_json=as_json, text="\n".join(lines))
    if not moved.rows:
        sys.exit(EXIT_FAILED)
