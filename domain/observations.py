"""What the product tells its watchers. Metrics implement it; the core knows no metrics library."""

from collections.abc import Mapping
from typing import Literal, Protocol

from domain.outcomes import Receipt

# "_unfit": sent to a bot that nobody reaches, because its link has no other.
RedirectOutcome = Literal[
    "redirected",
    "redirected_unfit",
    "bridged",
    "bridged_unfit",
    "fallback",
    "gone",
    "unknown_slug",
    "not_ready",
    "bad_method",
]


class Observer(Protocol):
    """Hears of what happens. Arguments are counts, labels of closed sets and seconds: never anything personal."""

    def redirect(self, outcome: RedirectOutcome, seconds: float) -> None: ...
    def receipt(self, receipt: Receipt, clicks: int) -> None: ...
    def tier(self, tier: str, operation: str, outcome: str) -> None: ...
    def breaker(self, tier: str, state: str) -> None: ...
    def ring(self, waiting: int, dropped: int) -> None: ...
    def backlog(self, entries: int, volume: int, quota: int) -> None: ...
    def start(self, kind: str, state: str) -> None: ...
    def conversion(self, event: str, state: str) -> None: ...
    def reply(self, outcome: str, seconds: float) -> None: ...
    def recovered(self, updates: int) -> None: ...
    def reopened(self) -> None: ...
    def bots(self, by_health: Mapping[str, int]) -> None: ...
    def delivery(self, outcome: str, events: int) -> None: ...
    def delivery_call(self, answer: str) -> None: ...
    def waiting(self, pending: int, oldest_seconds: float) -> None: ...
    def lanes(self, by_state: Mapping[str, int]) -> None: ...
    def rollups(self, folded: int, waiting: int) -> None: ...
    def leader(self, *, leads: bool) -> None: ...
    def alert(self, rule: str, firing: int, measured: float) -> None: ...
    def alert_told(self, channel: str, outcome: str) -> None: ...
    def connections(self, listener: str, count: int) -> None: ...
    def connection_closed(self, listener: str, reason: str) -> None: ...
    def shed(self, level: str) -> None: ...
    def api_refused(self, reason: str) -> None: ...


class Silent:
    """An observer that does nothing."""

    def redirect(self, outcome: RedirectOutcome, seconds: float) -> None:
        """Ignore."""

    def receipt(self, receipt: Receipt, clicks: int) -> None:
        """Ignore."""

    def tier(self, tier: str, operation: str, outcome: str) -> None:
        """Ignore."""

    def breaker(self, tier: str, state: str) -> None:
        """Ignore."""

    def ring(self, waiting: int, dropped: int) -> None:
        """Ignore."""

    def backlog(self, entries: int, volume: int, quota: int) -> None:
        """Ignore."""

    def start(self, kind: str, state: str) -> None:
        """Ignore."""

    def conversion(self, event: str, state: str) -> None:
        """Ignore."""

    def reply(self, outcome: str, seconds: float) -> None:
        """Ignore."""

    def recovered(self, updates: int) -> None:
        """Ignore."""

    def reopened(self) -> None:
        """Ignore."""

    def bots(self, by_health: Mapping[str, int]) -> None:
        """Ignore."""

    def delivery(self, outcome: str, events: int) -> None:
        """Ignore."""

    def delivery_call(self, answer: str) -> None:
        """Ignore."""

    def waiting(self, pending: int, oldest_seconds: float) -> None:
        """Ignore."""

    def lanes(self, by_state: Mapping[str, int]) -> None:
        """Ignore."""

    def rollups(self, folded: int, waiting: int) -> None:
        """Ignore."""

    def leader(self, *, leads: bool) -> None:
        """Ignore."""

    def alert(self, rule: str, firing: int, measured: float) -> None:
        """Ignore."""

    def alert_told(self, channel: str, outcome: str) -> None:
        """Ignore."""

    def connections(self, listener: str, count: int) -> None:
        """Ignore."""

    def connection_closed(self, listener: str, reason: str) -> None:
        """Ignore."""

    def shed(self, level: str) -> None:
        """Ignore."""

    def api_refused(self, reason: str) -> None:
        """Ignore."""
