"""When a delivery is tried again, and how late it may become: pure, from its attempts and its age.

Ages count from when the conversion happened. Meta's documentation of `event_time`: ideally within 1 hour; from 2 hours
on ads are optimised worse; from 24 hours on attribution suffers; what is older than 7 days is refused, and with it the
whole call. A webhook has the same times, so that nobody has to learn two.
"""

from dataclasses import dataclass

from domain.conversions import LIFE_MS, TOO_OLD

TARGET_SECONDS = 3600
WARN_SECONDS = 2 * 3600
ALERT_SECONDS = 24 * 3600
STOP_SECONDS = LIFE_MS // 1000
FIRST_SECONDS, LONGEST_SECONDS = 5.0, 900.0
"""The first wait, and the longest: each is twice the one before. A quarter of an hour is a quarter of TARGET_SECONDS."""
RECEIVED_ATTEMPTS = 10
"""How often one event is sent alone that the destination says not to have received: half an hour of waits, and no error
of Meta's lasts longer that has no code of its own.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """at_ms: when to try again, UTC milliseconds; None: not again, for this reason."""

    at_ms: int | None
    reason: str | None = None


def retry(
    attempts: int, *, event_ms: int, now_ms: int, spread: float = 0.0, most: int | None = None
) -> RetryDecision:
    """What becomes of an event after its `attempts` at sending it have failed.

    spread: -1 to 1, moves the wait by up to a fifth, so that a herd does not march in step. most: attempts there may be.
    Nothing waits beyond its end: the last try is made there, and whoever makes it finds the event dead.
    """
    end_ms = event_ms + STOP_SECONDS * 1000
    if now_ms >= end_ms:
        return RetryDecision(at_ms=None, reason=TOO_OLD)
    if most is not None and attempts >= most:
        return RetryDecision(at_ms=None, reason=f"not received in {attempts} attempts")
    return RetryDecision(at_ms=min(now_ms + _wait_ms(attempts, spread), end_ms))


def lateness(age_seconds: float) -> int:
    """How many of the times that somebody has to be told of have passed: 0, 1 (WARN_SECONDS) or 2 (ALERT_SECONDS)."""
    return sum(age_seconds >= limit for limit in (WARN_SECONDS, ALERT_SECONDS))


def _wait_ms(attempts: int, spread: float) -> int:
    # 2.0 ** 20 is beyond the longest wait: an attempt count that is out of hand makes no huge number.
    wait = min(FIRST_SECONDS * 2.0 ** min(max(attempts, 1) - 1, 20), LONGEST_SECONDS)
    return round(wait * 1000 * (1 + spread / 5))
