"""trilha outbox: what became of conversions, and sending them once more."""

import sys
from typing import Annotated, Any

import typer

from backends.sql.outbox_list import Counts, DeadLetters, Entry
from backends.sql.outbox_wanted import Wanted
from cli.common import CLOCK, EXIT_FAILED, Json, run, show, show_table
from cli.hands import moment
from cli.outbox_again import replay, retry
from cli.outbox_asked import LaneName, OutboxHands, Pixel, Webhook, lane_asked, outbox_hands, states_asked
from cli.outbox_owed import reconcile
from cli.outbox_shown import (
    LIST_HEADINGS,
    dead_letters_json,
    dead_letters_lines,
    entry_json,
    held_lines,
    list_row,
    local,
    stories,
    story_json,
    story_text,
    summary,
)
from privacy.keyring import Keyring
from privacy.token import Minter, looks_like_token

outbox = typer.Typer(help="Conversions on their way out, and what became of each.", no_args_is_help=True)


@outbox.command("list")
def list_outbox(
    state: Annotated[
        str, typer.Option("--state", help="Only these, with commas: pending, sent, rejected, dead, skipped.")
    ] = "",
    lane: LaneName = None,
    pixel: Pixel = None,
    webhook: Webhook = None,
    event: Annotated[str | None, typer.Option("--event", help="Only events of this name.")] = None,
    since: Annotated[
        str, typer.Option("--since", help="Events since then: ISO 8601 in your time zone, or 90m, 24h, 7d.")
    ] = "24h",
    limit: Annotated[int, typer.Option("--limit", help="At most so many rows.", min=1, max=10_000)] = 50,
    as_json: Json = False,
) -> None:
    """Conversions with their destinations, the newest first, and how many there are in each state."""
    states, of_lane = states_asked(state), lane_asked(lane, pixel, webhook)

    async def read() -> tuple[OutboxHands, Wanted, list[Entry], Counts, dict[str, str]]:
        async with outbox_hands() as hands:
            wanted = Wanted(states=states, lane=of_lane, event=event, since_ms=moment(since, hands.zone))
            reading = hands.reading
            newest, counts = await reading.newest(wanted, limit), await reading.counts(wanted)
            return hands, wanted, newest, counts, await reading.held()

    hands, wanted, newest, counts, held = run(read())
    if of_lane is not None:
        held = {name: reason for name, reason in held.items() if name == of_lane}
    if as_json:
        shown = {"counts": counts.by_state, "counted_all": counts.whole, "held": held}
        show({"deliveries": [entry_json(entry) for entry in newest]} | shown, as_json=True, text="")
        return
    now_ms, zone = CLOCK.now_ms(), hands.zone
    rows = [list_row(entry, held=held, now_ms=now_ms, zone=zone) for entry in newest]
    show_table(LIST_HEADINGS, rows, empty="no conversion that is asked for")
    print("\n".join(["", summary(counts, wanted.since_ms, zone), *held_lines(held)]))


@outbox.command("show")
def show_event(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="An event's id or its first 8 digits, an order id, or a click's token; `-` reads it from standard input.",
        ),
    ],
    as_json: Json = False,
) -> None:
    """All that became of an event, in every lane, and what to do about it. Exits 1 when there is none."""
    text = sys.stdin.readline().strip() if name == "-" else name

    async def read() -> tuple[OutboxHands, list[Entry], dict[str, str]]:
        async with outbox_hands() as hands:
            return hands, await _named(hands, text), await hands.reading.held()

    hands, entries, held = run(read())
    found, now_ms = stories(entries), CLOCK.now_ms()
    if as_json:
        show([story_json(rows, held) for rows in found], as_json=True, text="")
    elif found:
        print("\n\n".join(story_text(rows, held=held, now_ms=now_ms, zone=hands.zone) for rows in found))
    if not found:
        print("the outbox has no event, order or click of that name", file=sys.stderr)
        sys.exit(EXIT_FAILED)


@outbox.command("dead-letters")
def dead_letters(
    since: Annotated[
        str, typer.Option("--since", help="Events since then: ISO 8601 in your time zone, or 90m, 24h, 7d.")
    ] = "7d",
    as_json: Json = False,
) -> None:
    """What was rejected, or whose time is over, by destination and reason, and what to do about it."""

    async def read() -> tuple[OutboxHands, int, list[DeadLetters]]:
        async with outbox_hands() as hands:
            since_ms = moment(since, hands.zone)
            return hands, since_ms, await hands.reading.dead_letters(since_ms)

    hands, since_ms, found = run(read())
    nothing = f"no dead letters since {local(since_ms, hands.zone)} ({hands.zone.key})"
    blocks = ["\n".join(dead_letters_lines(group, hands.zone)) for group in found]
    values: list[dict[str, Any]] = [dead_letters_json(group) for group in found]
    show(values, as_json=as_json, text="\n\n".join(blocks) or nothing)


outbox.command("retry")(retry)
outbox.command("replay")(replay)
outbox.command("reconcile")(reconcile)


async def _named(hands: OutboxHands, name: str) -> list[Entry]:
    if (found := await hands.reading.of(name)) or not looks_like_token(name):
        return found
    given = hands.given
    ring = Keyring(given.secrets, CLOCK)
    minter = Minter(ring, CLOCK, node=given.node, attribution_days=given.attribution_days)
    return await hands.reading.of_click(minter.verify(name).id)
