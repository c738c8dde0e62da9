"""What is wrong with a proxy, and what it has seen: data, and JSON on the way between the two processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

import msgspec

Direction = Literal["up", "down"]  # up: from the client to the server


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Everything that is wrong at once. Raises ValueError for what makes no sense."""

    latency_ms: float = 0.0
    """Milliseconds later in each direction, in order, with many on their way at once."""
    jitter_ms: float = 0.0
    """Up to so many milliseconds more, at random; the order is kept."""
    bandwidth: float = 0.0
    """Bytes per second in each direction of each connection; 0 is no limit."""
    reset: bool = False
    """Open connections get RST now, new ones as they are accepted."""
    refuse: bool = False
    """Nobody listens: connection refused. Open connections go on."""
    blackhole: bool = False
    """Nothing is read or written on open connections, and connecting hangs."""
    silent: bool = False
    """Connections are accepted and read, and nothing ever comes back or reaches the server (see toxics/drop.py)."""
    drop: Direction | None = None
    """What goes that way vanishes (see toxics/drop.py)."""
    flap_s: float = 0.0
    """Seconds of a period: half of it up, half of it reset and refused."""
    lose_reply: tuple[str, ...] = ()
    """Commands that are applied while their reply is lost and the connection reset: of Redis by name (SET), of
    PostgreSQL by the first word of their tag (COMMIT). Replies that are errors are passed on."""
    lose_every: int = 1
    """Every so-manieth such reply is lost."""
    lose_count: int | None = None
    """So many are lost, and no more."""

    def __post_init__(self) -> None:
        for name in ("latency_ms", "jitter_ms", "bandwidth", "flap_s"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be finite and not negative")
        if self.lose_every < 1:
            raise ValueError("lose_every must be 1 or more")
        if self.lose_count is not None and self.lose_count < 0:
            raise ValueError("lose_count must not be negative")
        if not _is_tuple(self.lose_reply):
            raise ValueError("lose_reply must be a tuple of names")

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """From JSON. Raises ValueError that names what is unknown or of a wrong type."""
        known = [field.name for field in fields(cls)]
        if unknown := sorted(given.keys() - set(known)):
            raise ValueError(f"unknown trouble: {', '.join(unknown)}. Known are: {', '.join(known)}")
        return msgspec.convert(dict(given), cls)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def _is_tuple(given: object) -> bool:
    """A lone string would be taken for the names that its letters are, and nothing would be lost."""
    return isinstance(given, tuple)


NONE = Trouble()


@dataclass(slots=True, kw_only=True)
class Stats:
    """What a proxy has counted since it was started."""

    accepted: int = 0
    """Connections of clients."""
    open: int = 0
    """Connections of clients that are open now."""
    bytes_up: int = 0
    """Passed on to the server."""
    bytes_down: int = 0
    """Passed on to clients."""
    replies_lost: int = 0
    """By `lose_reply`."""
    resets: int = 0
    """RSTs sent to clients, for any reason."""
    flaps: int = 0
    """Times that `flap_s` took the way down."""
