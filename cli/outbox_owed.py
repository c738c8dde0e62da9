"""trilha outbox reconcile: that every click and start has the conversions which it owes."""

import sys
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import typer

from cli.common import EXIT_FAILED, Json, run, show
from cli.hands import moment
from cli.outbox_asked import DryRun, OutboxHands, outbox_hands, progress
from cli.outbox_shown import local
from domain.clock import iso
from domain.errors import ConfigError

LOOK = 1000
"""Clicks of one look: some tens of milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """Clicks that lack a conversion, and those whose conversions were written; examples: the first few of the former."""

    missing: int
    repaired: int
    examples: tuple[UUID, ...]


def reconcile(
    since: Annotated[
        str, typer.Option("--since", help="Clicks since then: ISO 8601 in your time zone, or 90m, 24h, 7d.")
    ] = "7d",
    until: Annotated[
        str, typer.Option("--until", help="Clicks before then, in the same ways; default: now.")
    ] = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Look for conversions that clicks and starts owe and the outbox lacks, and write them.

    Nothing is ever missing unless rows were deleted by hand or a database was restored in part. With `--dry-run` it
    exits 1 when something is missing. It may be stopped at any time, and run beside everything else.
    """

    async def work() -> tuple[OutboxHands, int, int, Reconciled]:
        async with outbox_hands() as hands:
            begin, end = moment(since, hands.zone), moment(until, hands.zone)
            if begin >= end:
                raise ConfigError("--since must lie before --until")
            return hands, begin, end, await _reconciled(hands, begin, end, dry_run=dry_run)

    hands, begin, end, done = run(work())
    times = f"{local(begin, hands.zone)} to {local(end, hands.zone)} ({hands.zone.key})"
    value = {
        "since": iso(begin),
        "until": iso(end),
        "missing": done.missing,
        "repaired": done.repaired,
        "examples": [str(click_id) for click_id in done.examples],
    }
    show(value, as_json=as_json, text=f"clicks of {times}\n{_text(done, dry_run=dry_run)}")
    if dry_run and done.missing:
        sys.exit(EXIT_FAILED)


async def _reconciled(hands: OutboxHands, begin: int, end: int, *, dry_run: bool) -> Reconciled:
    missing, repaired, after = 0, 0, None
    examples: tuple[UUID, ...] = ()
    with progress("clicks lack a conversion") as shown:
        task = shown.add_task("", total=None)
        while True:
            seen = await hands.owed.missing(begin, end, after, LOOK)
            missing += len(seen.missing)
            examples = (examples + seen.missing)[:5]
            repaired += 0 if dry_run else await hands.owed.repair(seen.missing)
            shown.update(task, completed=missing)
            if (after := seen.last) is None:
                return Reconciled(missing=missing, repaired=repaired, examples=examples)


def _text(done: Reconciled, *, dry_run: bool) -> str:
    if not done.missing:
        return "nothing is missing: every click and start has the conversions that it owes"
    ids = ", ".join(map(str, done.examples))
    end = (
        "write them: trilha outbox reconcile" if dry_run else f"written: {done.repaired}, sent by themselves"
    )
    return f"clicks that lack a conversion: {done.missing}, such as {ids}\n{end}"
