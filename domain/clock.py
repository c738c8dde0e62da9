"""The only reader of time. Everything else is handed a Clock."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two times: `now_ms` is UTC milliseconds since the epoch, `monotonic` is seconds that never jump."""

    def now_ms(self) -> int: ...
    def monotonic(self) -> float: ...


class SystemClock:
    """The clock of the machine."""

    __slots__ = ()

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch; may jump when the machine's clock is set."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds from an arbitrary point; never goes back. Deadlines are made of it."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until `advance` is called: for tests, and for tools that replay the past."""

    __slots__ = ("_monotonic", "_now_ms")

    def __init__(self, *, now_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic = 0.0

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch."""
        return self._now_ms

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both times forward."""
        self._now_ms += int(seconds * 1000)
        self._monotonic += seconds


def iso(at_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds, ending in `Z`: how every time is shown outside."""
    text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
