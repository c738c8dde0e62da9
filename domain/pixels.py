"""Pixels: Meta's datasets as the operator has registered them, and what became of the conversions that went there."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from domain.conversions import DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedCredentials:
    """What a pixel is sent to with, as SQL may have it. token None: there is none."""

    token: bytes | None = field(default=None, repr=False)
    app_secret: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixel:
    """A registered pixel, by Meta's id of it. links: slugs of those whose conversions go there."""

    id: str
    created_at_ms: int
    sealed: SealedCredentials
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """So many deliveries of a lane ended alike. matched: what of the person was sent, by the destination's names."""

    lane: str
    state: DeliveryState
    reason: str | None = None
    matched: tuple[str, ...] = ()
    count: int = 1


def count_of(outcomes: Iterable[Outcome], state: DeliveryState) -> int:
    """How many ended so."""
    return sum(outcome.count for outcome in outcomes if outcome.state == state)


def reasons_of(outcomes: Iterable[Outcome], most: int) -> tuple[Outcome, ...]:
    """The reasons why most were not sent, the most frequent first."""
    found: Counter[tuple[str, DeliveryState, str | None]] = Counter()
    for outcome in outcomes:
        if outcome.state != "sent":
            found[outcome.lane, outcome.state, outcome.reason] += outcome.count
    ordered = sorted(found.items(), key=lambda item: (-item[1], str(item[0])))
    return tuple(
        Outcome(lane=lane, state=state, reason=reason, count=count)
        for (lane, state, reason), count in ordered[:most]
    )


def match_rates(outcomes: Iterable[Outcome]) -> Mapping[str, float]:
    """Of what was sent, the share (0 to 1) that had each key; nothing when nothing was sent."""
    sent, keys = 0, Counter[str]()
    for outcome in outcomes:
        if outcome.state == "sent":
            sent += outcome.count
            keys.update(dict.fromkeys(outcome.matched, outcome.count))
    return {key: keys[key] / sent for key in sorted(keys, key=lambda key: (-keys[key], key))}
