"""What `trilha doctor` says of delivery: what is held, what is late, what has failed, and how to mend each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from analytics.finding import Finding, Verdict
from backends.sql.outcomes import DAY_MS
from cli.common import CLOCK
from cli.pixel_advice import of_hold, of_lane
from cli.pixel_facts import PixelFacts, joined, pixels_of
from delivery.schedule import lateness
from domain.conversions import UNATTRIBUTED, LaneStatus
from domain.pixels import Outcome, count_of, reasons_of
from runtime.settings import Settings

MINUTE_MS = 60_000
STUCK_MS = 10 * MINUTE_MS
Trouble = tuple[Verdict, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """All that delivery is judged by. first_due: when the next of each lane is due, or was; failed: of the last 24 hours."""

    pixels: tuple[PixelFacts, ...]
    lanes: tuple[LaneStatus, ...]
    first_due: Mapping[str, int]
    failed: tuple[Outcome, ...]

    @property
    def used(self) -> tuple[PixelFacts, ...]:
        """The pixels of links."""
        return tuple(found for found in self.pixels if found.pixel.links)


async def delivery(given: Settings) -> Finding:
    """Everything about delivery in one finding; the worst of it is the verdict."""
    now_ms = CLOCK.now_ms()
    seen = await _look(given, now_ms)
    found = [
        *of_tokens(seen.pixels),
        *of_holds(seen),
        *of_queues(seen.lanes, now_ms),
        *of_relay(seen, now_ms),
        *of_failures(seen.failed),
        *of_warnings(seen.lanes),
        *of_settings(seen.used, given),
    ]
    if not found:
        return Finding("delivery", "ok", _in_order(seen))
    failed = any(verdict == "failed" for verdict, _ in found)
    return Finding("delivery", "failed" if failed else "warning", "; ".join(text for _, text in found))


async def _look(given: Settings, now_ms: int) -> Deliveries:
    async with pixels_of(given) as room:
        lanes = await room.outbox.lanes()
        return Deliveries(
            pixels=tuple(joined(await room.pixels.all(), lanes, given)),
            lanes=tuple(lanes),
            first_due=await room.outcomes.first_due(lane.lane for lane in lanes),
            failed=tuple(await room.outcomes.failed(since_ms=now_ms - DAY_MS)),
        )


def of_tokens(pixels: Iterable[PixelFacts]) -> Iterator[Trouble]:
    """Pixels that cannot be sent to. One that no link uses needs no token."""
    for found in pixels:
        if found.state == "unreadable":
            text = f"the token of pixel {found.id} does not open with this key ring"
            yield "failed", f"{text}: {of_hold(found.id, found.state)}"
        elif found.state == "none" and found.pixel.links:
            links = ", ".join(found.pixel.links)
            yield "failed", f"pixel {found.id} of {links} has no token: {of_hold(found.id, found.state)}"


def of_holds(seen: Deliveries) -> Iterator[Trouble]:
    """Lanes that wait for the operator. Those without a token are said above."""
    said = {found.lane.lane for found in seen.pixels if found.state != "sealed"}
    for lane in seen.lanes:
        if lane.held_at_ms is None or lane.lane in said:
            continue
        why = lane.hold_reason or "no reason"
        yield "failed", f"{lane.lane} is held, {lane.pending} wait ({why}): {of_lane(lane.lane)}"


def of_queues(lanes: Iterable[LaneStatus], now_ms: int) -> Iterator[Trouble]:
    """What waits too long, where it is not known why. What has no click yet waits for one."""
    for lane in lanes:
        if lane.oldest_at_ms is None or lane.held_at_ms is not None or lane.lane == UNATTRIBUTED:
            continue
        age = (now_ms - lane.oldest_at_ms) / 1000
        if late := lateness(age):
            text = f"{lane.lane}: {lane.pending} wait, the oldest for {age // 3600:.0f} hours"
            yield (
                "failed" if late > 1 else "warning",
                f"{text}: trilha outbox list --state pending --since 7d",
            )


def of_relay(seen: Deliveries, now_ms: int) -> Iterator[Trouble]:
    """Nobody takes what is due. Whoever does moves when it is due again, or sends something."""
    before_ms = now_ms - STUCK_MS
    if any((lane.sent_at_ms or 0) >= before_ms for lane in seen.lanes):
        return
    held = {lane.lane for lane in seen.lanes if lane.held_at_ms is not None}
    due = [at_ms for lane, at_ms in seen.first_due.items() if lane not in held and at_ms < before_ms]
    if due:
        minutes = (now_ms - min(due)) // MINUTE_MS
        yield (
            "warning",
            f"conversions are due for {minutes} minutes and nothing moves: is `trilha work` running?",
        )


def of_failures(failed: Iterable[Outcome]) -> Iterator[Trouble]:
    """What was given up in the last 24 hours."""
    outcomes = list(failed)
    for why in reasons_of(outcomes, 1):
        counts = f"{count_of(outcomes, 'rejected')} rejected and {count_of(outcomes, 'dead')} dead"
        most = f"mostly {why.lane or 'without a click'}: {why.reason or 'no reason'}"
        yield "warning", f"{counts} in 24 hours, {most}. See: trilha outbox dead-letters"


def of_warnings(lanes: Iterable[LaneStatus]) -> Iterator[Trouble]:
    """What destinations warn of, such as the end of an API's version."""
    for lane in lanes:
        if lane.warning:
            yield "warning", f"{lane.lane} warns: {lane.warning}"


def of_settings(used: Iterable[PixelFacts], given: Settings) -> Iterator[Trouble]:
    """What every event of a website has in it: where it happened."""
    if any(used) and not (given.public_url or "").startswith("https://"):
        yield (
            "warning",
            "TRILHA_PUBLIC_URL is not https, so that Meta is told an address that nobody reaches: set it to what ad URLs begin with",
        )


def _in_order(seen: Deliveries) -> str:
    waiting = sum(lane.pending for lane in seen.lanes)
    return f"{len(seen.pixels)} pixels, {len(seen.used)} in use; {waiting} conversions wait"
