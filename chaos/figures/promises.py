"""What every drill promises, and what one promises more or less. A promise is a figure that stays at or below a bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.errors import ConfigError

# Deadline 50 ms, and 10 for the wire and the loop.
STANDARD: dict[str, float] = {
    "non_302": 0,
    "errors": 0,
    "acked_lost": 0,
    "double_owner": 0,
    "resurrected": 0,
    "invented": 0,
    "lost_starts": 0,
    "effects": 0,
    "unbalanced": 0,
    "unacked": 0,
    "p999_ms": 60,
}
TEXTS = {
    "non_302": "visitors who were not sent on",
    "errors": "visitors without an answer",
    "acked_lost": "acknowledged clicks that are missing (I1)",
    "double_owner": "clicks with two owners (I2)",
    "resurrected": "erased clicks that came back (I5)",
    "invented": "clicks that nobody made (I6)",
    "lost_starts": "starts that were taken and lost (I9)",
    "effects": "conversions missing or doubled (I3, I4)",
    "unbalanced": "equations of the books that do not hold (I8)",
    "unacked": "clicks that only their token remembers",
    "token_only": "clicks that no store took in time",
    "p999_ms": "the slowest redirect in a thousand",
    "p99_ms": "the slowest redirect in a hundred",
    "max_ms": "the slowest redirect",
    "p99_under_fault_ratio": "times that the slowest redirect in a hundred was slower during the fault than before",
    "forged_accepted": "forged tokens that were not refused",
    "detect_ms": "until a breaker opened",
    "recover_s": "until the store was used again",
    "settle_s": "until the backlog was settled",
    "p99_ratio": "times that the slowest redirect in a hundred was slower afterwards than before",
    "undone": "facts that the restored backup did not have",
    "breaker_opened": "times that a breaker opened",
    "meta_missing": "events that are not at Meta and have no reason",
    "meta_unknown": "events at Meta that are nobody's",
    "meta_silent": "events that are away without a word",
    "meta_wronged": "good events that were given up",
    "meta_unfelt": "drills in which Meta refused no call at all",
    "meta_twice": "events that Meta got more than once",
    "telegram_lost": "people who pressed START and own nothing",
    "telegram_twice": "people who were answered twice",
    "telegram_unanswered": "people who were not answered",
    "telegram_strangers": "people who were answered unasked",
    "visible_again_s": "until a click was visible in Redis again",
    "visible_all_s": "until every click was visible in Redis again",
    "hidden_percent": "of a hundred clicks until then, those that were not visible",
    "backlog": "entries that waited in the spools",
}
LATENCIES = ("p99_ms", "p999_ms", "max_ms")
TIMES = (
    *LATENCIES,
    "p99_ratio",
    "p99_under_fault_ratio",
    "detect_ms",
    "recover_s",
    "settle_s",
    "breaker_opened",
    "visible_again_s",
    "visible_all_s",
    "hidden_percent",
)


def standard_with(at_most: Mapping[str, float | None]) -> dict[str, float]:
    """The standard with an experiment's own bounds; None: the drill makes no such promise. ConfigError for an unknown figure."""
    if unknown := sorted(set(at_most) - set(TEXTS)):
        raise ConfigError(f"no figure is called {', '.join(unknown)}; there are {', '.join(TEXTS)}")
    return {name: bound for name, bound in (STANDARD | dict(at_most)).items() if bound is not None}


def kept_or_not(
    bounds: Mapping[str, float], figures: Mapping[str, Any], *, judge_times: bool = True
) -> list[dict[str, Any]]:
    """Each promise with its bound and what was measured. A figure that could not be measured keeps no promise.

    Without `judge_times`, promises of times are not among them.

    A latency may exceed its bound by as much as the machine stalled the crowd itself: nobody on it can be quicker.
    """
    return [
        {
            "name": name,
            "text": TEXTS[name],
            "bound": bound,
            "value": figures[name],
            "unit": unit_of(name),
            "held": _held(figures[name], bound + (figures["stall_ms"] if name in LATENCIES else 0.0)),
        }
        for name, bound in bounds.items()
        if judge_times or name not in TIMES
    ]


def broken_words(promise: Mapping[str, Any]) -> str:
    """Why a promise is not held, in words."""
    unit = promise["unit"] and f" {promise['unit']}"
    value = "not measurable" if promise["value"] is None else f"{promise['value']:g}{unit}"
    return f"{promise['text']}: {value}, allowed {promise['bound']:g}{unit}"


def unit_of(name: str) -> str:
    """Of a figure, by how its name ends."""
    return {"ms": "ms", "s": "s"}.get(name.rpartition("_")[2], "")


def _held(value: float | None, bound: float) -> bool:
    return value is not None and value <= bound
