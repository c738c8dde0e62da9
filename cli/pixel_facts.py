"""What is known of pixels, put together from SQL and the key ring: for `pixel` and `doctor`."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from backends.sql.outbox import SqlOutbox
from backends.sql.outcomes import DAY_MS, SqlOutcomes
from backends.sql.pixels import SqlPixels, absent
from cli.common import CLOCK, sql_of
from delivery.schedule import lateness
from domain.conversions import LaneStatus, meta_lane
from domain.links import valid_pixel
from domain.pixels import Outcome, Pixel
from privacy.keyring import Keyring
from privacy.pixel_tokens import Credentials, HeldCredentials, PixelTokens, TokenState
from runtime.settings import Settings

PixelId = Annotated[str, typer.Argument(help="Meta's id of the dataset (pixel).")]

NONE_YET = "no pixels yet. Register one: trilha pixel add ID --token-file -"


@dataclass(frozen=True, slots=True)
class PixelRoom:
    """The views of pixels in SQL: what they are sent to with, how their lanes are, what became of conversions."""

    pixels: SqlPixels
    outbox: SqlOutbox
    outcomes: SqlOutcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFacts:
    """A pixel, what it is sent to with, and how its lane is."""

    pixel: Pixel
    held: HeldCredentials
    lane: LaneStatus

    @property
    def id(self) -> str:
        """Meta's id of it."""
        return self.pixel.id

    @property
    def state(self) -> TokenState:
        """Whether there is a token that this key ring opens."""
        return self.held.state

    @property
    def credentials(self) -> Credentials | None:
        """What it is sent to with."""
        return self.held.credentials

    def late(self, now_ms: int) -> bool:
        """True when what happened 24 hours ago still waits: from then on attribution suffers."""
        oldest = self.lane.oldest_at_ms
        return oldest is not None and lateness((now_ms - oldest) / 1000) > 1


@asynccontextmanager
async def pixels_of(given: Settings) -> AsyncIterator[PixelRoom]:
    """Pixels in SQL."""
    async with sql_of(given) as engine:
        yield PixelRoom(SqlPixels(engine), SqlOutbox(engine), SqlOutcomes(engine))


async def all_pixels(room: PixelRoom, given: Settings) -> list[PixelFacts]:
    """Of every registered pixel, by id."""
    return joined(await room.pixels.all(), await room.outbox.lanes(), given)


async def pixel_of(room: PixelRoom, given: Settings, pixel: str) -> PixelFacts:
    """Of one pixel, or ConfigError."""
    valid_pixel(pixel)
    for found in await all_pixels(room, given):
        if found.id == pixel:
            return found
    raise absent(pixel)


async def outcomes_of(room: PixelRoom, pixel: str, now_ms: int) -> list[Outcome]:
    """What was sent and skipped of the conversions of the last 24 hours, and what has failed in them."""
    lane, since_ms = meta_lane(pixel), now_ms - DAY_MS
    failed = await room.outcomes.failed(since_ms=since_ms)
    delivered = await room.outcomes.delivered(lane, since_ms=since_ms)
    return [*delivered, *(outcome for outcome in failed if outcome.lane == lane)]


def joined(pixels: Sequence[Pixel], lanes: Iterable[LaneStatus], given: Settings) -> list[PixelFacts]:
    """Pixels with their lanes. Without a single token the key ring is not asked for."""
    tokens = None
    if any(pixel.sealed.token is not None for pixel in pixels):
        tokens = PixelTokens(Keyring(given.secrets, CLOCK))
    by_name = {lane.lane: lane for lane in lanes}
    return [
        PixelFacts(
            pixel=pixel,
            held=HeldCredentials(state="none") if tokens is None else tokens.open(pixel.id, pixel.sealed),
            lane=by_name.get(meta_lane(pixel.id), LaneStatus(lane=meta_lane(pixel.id))),
        )
        for pixel in pixels
    ]
