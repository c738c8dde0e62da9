"""What the outbox commands are asked for, and what they work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, get_args
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from backends.sql.outbox_again import SqlOutboxAgain
from backends.sql.outbox_list import SqlOutboxList
from backends.sql.reconcile import SqlReconciler
from cli.common import settings, sql_of
from domain.conversions import DeliveryState, meta_lane, webhook_lane
from domain.errors import ConfigError
from domain.links import valid_pixel
from runtime.settings import Settings

LaneName = Annotated[
    str | None,
    typer.Option(
        "--lane", help="Only this destination, as `outbox list` shows it; '' for those without one."
    ),
]
Pixel = Annotated[str | None, typer.Option("--pixel", help="Only what goes to this pixel.")]
Webhook = Annotated[str | None, typer.Option("--webhook", help="Only what goes to this webhook.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many it would be.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxHands:
    """What these commands work with."""

    given: Settings
    reading: SqlOutboxList
    again: SqlOutboxAgain
    owed: SqlReconciler

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.given.timezone)


@asynccontextmanager
async def outbox_hands() -> AsyncIterator[OutboxHands]:
    """The outbox in SQL, closed afterwards."""
    given = settings()
    async with sql_of(given) as engine:
        yield OutboxHands(
            given=given,
            reading=SqlOutboxList(engine),
            again=SqlOutboxAgain(engine),
            owed=SqlReconciler(engine),
        )


def lane_asked(lane: str | None, pixel: str | None, webhook: str | None) -> str | None:
    """The one lane that is named; None when none is."""
    named = [lane] if lane is not None else []
    named += [] if pixel is None else [meta_lane(valid_pixel(pixel))]
    named += [] if webhook is None else [webhook_lane(webhook)]
    if len(named) > 1:
        raise ConfigError("give one of --lane, --pixel and --webhook")
    return named[0] if named else None


def states_asked(text: str) -> tuple[DeliveryState, ...]:
    """States with commas between them; none for an empty text."""
    names = [name.strip() for name in text.split(",")] if text else []
    known: dict[str, DeliveryState] = {state: state for state in get_args(DeliveryState)}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"no such state: {unknown[0]!r}. There are {', '.join(known)}")
    return tuple(known[name] for name in names)


def progress(what: str) -> Progress:
    """How far a long run is, on standard error if that is a terminal; its one task counts."""
    columns = (SpinnerColumn(), TextColumn("{task.completed} " + what))
    told = Console(stderr=True)
    return Progress(*columns, console=told, transient=True, disable=not told.is_terminal)
