"""trilha pixel status: how a pixel's conversions fare, and how well Meta can match them."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from backends.sql.outcomes import MOST
from cli.common import CLOCK, EXIT_FAILED, Json, local_time, run, settings, show
from cli.pixel_advice import of_hold, of_refusal
from cli.pixel_facts import NONE_YET, PixelFacts, PixelRoom, all_pixels, outcomes_of, pixel_of, pixels_of
from delivery.destination import Refusal
from delivery.meta.client import MetaClient
from delivery.meta.quality import EventQuality
from domain.clock import iso
from domain.conversions import DeliveryState
from domain.pixels import Outcome, count_of, match_rates, reasons_of
from runtime.settings import Settings

MOST_REASONS = 3
_STATES: tuple[DeliveryState, ...] = ("sent", "skipped", "rejected", "dead")
Quality = tuple[EventQuality, ...] | Refusal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A pixel, what became of the conversions of the last 24 hours, and what Meta says of them (None: it was not asked)."""

    facts: PixelFacts
    outcomes: tuple[Outcome, ...]
    quality: Quality = None

    def well(self, now_ms: int) -> bool:
        """False when the lane is held, or what happened a day ago still waits."""
        return self.facts.lane.held_at_ms is None and not self.facts.late(now_ms)


def status(
    pixel: Annotated[
        str | None, typer.Argument(help="Meta's id of the dataset (pixel); default: all.")
    ] = None,
    quality: Annotated[
        bool, typer.Option("--quality", help="Ask Meta for its event match quality too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """How pixels are: held or not, what waits, what became of the last 24 hours, how much of it Meta can match.

    Exits 1 when one is held, or when what happened 24 hours ago still waits.
    """
    given = settings()
    now_ms = CLOCK.now_ms()
    found = run(_look(given, pixel, now_ms, ask_meta=quality))
    text = "\n\n".join(_text(seen, given) for seen in found) or NONE_YET
    show([_json(seen) for seen in found], as_json=as_json, text=text)
    if not all(seen.well(now_ms) for seen in found):
        sys.exit(EXIT_FAILED)


async def _look(given: Settings, pixel: str | None, now_ms: int, *, ask_meta: bool) -> list[Seen]:
    async with pixels_of(given) as room:
        every = await all_pixels(room, given) if pixel is None else [await pixel_of(room, given, pixel)]
        meta = MetaClient(given.meta_url) if ask_meta else None
        try:
            return [await _seen(room, facts, now_ms, meta) for facts in every]
        finally:
            if meta is not None:
                await meta.close()


async def _seen(room: PixelRoom, facts: PixelFacts, now_ms: int, meta: MetaClient | None) -> Seen:
    quality: Quality = None
    if meta is not None and facts.credentials is not None:
        quality = await meta.quality(facts.id, facts.credentials)
    return Seen(facts=facts, outcomes=tuple(await outcomes_of(room, facts.id, now_ms)), quality=quality)


def _text(seen: Seen, given: Settings) -> str:
    facts, lane = seen.facts, seen.facts.lane
    lines = [
        f"pixel {facts.id}",
        _line("token", facts.state),
        _line("links", ", ".join(facts.pixel.links) or "-"),
        *_held_lines(facts, given),
        _line("waiting", _waiting(facts, given)),
        _line("last accepted", local_time(lane.sent_at_ms, given)),
        *([_line("Meta warns", lane.warning)] if lane.warning else []),
        _line("last 24 hours", ", ".join(f"{count_of(seen.outcomes, state)} {state}" for state in _STATES)),
        *(_line("", f"{why.count} {why.state}: {why.reason or '-'}") for why in _reasons(seen)),
        _line("match keys", _shares(match_rates(seen.outcomes))),
        *_quality_lines(seen),
    ]
    if sum(outcome.count for outcome in seen.outcomes) >= MOST:
        lines.append(_line("", f"(counted: the newest {MOST})"))
    return "\n".join(lines)


def _held_lines(facts: PixelFacts, given: Settings) -> list[str]:
    lane = facts.lane
    if lane.held_at_ms is None:
        return [_line("state", "open")]
    why = f"held since {local_time(lane.held_at_ms, given)}: {lane.hold_reason or '-'}"
    return [_line("state", why), _line("mend", of_hold(facts.id, facts.state))]


def _waiting(facts: PixelFacts, given: Settings) -> str:
    lane = facts.lane
    return f"{lane.pending}, the oldest of {local_time(lane.oldest_at_ms, given)}" if lane.pending else "0"


def _quality_lines(seen: Seen) -> list[str]:
    if seen.quality is None:
        return []
    if isinstance(seen.quality, Refusal):
        refusal = seen.quality
        said = f"Meta does not say ({refusal.code}): {refusal.reason}; {of_refusal(seen.facts.id, refusal)}"
        return [_line("quality", said)]
    if not seen.quality:
        return [_line("quality", "Meta has none yet")]
    return [_line("quality", _quality(event)) for event in seen.quality]


def _quality(found: EventQuality) -> str:
    score = "no score yet" if found.score is None else f"{found.score} of 10"
    keys = {key: share / 100 for key, share in found.coverage.items()}
    return f"{found.event}: {score} ({_shares(keys)})"


def _reasons(seen: Seen) -> tuple[Outcome, ...]:
    return reasons_of(seen.outcomes, MOST_REASONS)


def _shares(found: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {share:.0%}" for key, share in found.items()) or "-"


def _line(name: str, value: str) -> str:
    return f"  {name:<14} {value}"


def _json(seen: Seen) -> dict[str, Any]:
    facts, lane = seen.facts, seen.facts.lane
    held = lane.held_at_ms is not None
    return {
        "id": facts.id,
        "token": facts.state,
        "links": list(facts.pixel.links),
        "held_at": _iso(lane.held_at_ms),
        "hold_reason": lane.hold_reason,
        "mend": of_hold(facts.id, facts.state) if held else None,
        "pending": lane.pending,
        "oldest_at": _iso(lane.oldest_at_ms),
        "sent_at": _iso(lane.sent_at_ms),
        "warning": lane.warning,
        "last_24_hours": {state: count_of(seen.outcomes, state) for state in _STATES},
        "reasons": [{"state": why.state, "reason": why.reason, "count": why.count} for why in _reasons(seen)],
        "match_rates": {key: round(share, 4) for key, share in match_rates(seen.outcomes).items()},
        "quality": _quality_json(seen.quality),
    }


def _quality_json(quality: Quality) -> Any:
    if isinstance(quality, Refusal):
        return {"code": quality.code, "reason": quality.reason}
    if quality is None:
        return None
    return [
        {"event": found.event, "score": found.score, "coverage": dict(found.coverage)} for found in quality
    ]


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso(at_ms)
