"""Alerts: what may be wrong, since when it is, and what is told of it."""

from dataclasses import dataclass
from typing import Literal, Protocol

Severity = Literal["page", "warn"]
Kind = Literal["firing", "reminder", "resolved", "test"]
Language = Literal["en", "pt"]
Phase = Literal["pending", "firing", "resolved"]
RULES = (
    "spool_backlog",
    "spool_quota",
    "disk_free",
    "tier_down",
    "daemon_silent",
    "token_only",
    "books_unbalanced",
    "lane_held",
    "unsent_age",
    "unsent_day",
    "api_version",
    "bot_unfit",
    "bot_unheard",
    "match_rate",
    "rollups_behind",
    "retention_overdue",
    "worker_silent",
)
"""Every rule there is (analytics/alerts/rules.toml describes each): a closed set, as metrics have them for a label."""
CHANNELS = ("telegram", "email", "webhook")
TOLD = ("sent", "failed", "given_up")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState:
    """One alert: of a rule and a subject. Times are UTC milliseconds.

    since: when the condition began; fired: when it had held for long enough; told: the last notice; cleared: since when a
    firing alert's condition is over; resolved: its end. flaps: how often it has come back at once. measured: as of its last
    change. version: the store's own, by which it tells whether somebody else has changed it.
    """

    since_ms: int
    fired_ms: int | None = None
    told_ms: int | None = None
    cleared_ms: int | None = None
    resolved_ms: int | None = None
    flaps: int = 0
    measured: float = 0.0
    version: int = 0

    @property
    def phase(self) -> Phase:
        """Where it is."""
        if self.resolved_ms is not None:
            return "resolved"
        return "pending" if self.fired_ms is None else "firing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What every channel is told. Nothing personal is in it. Times are UTC milliseconds.

    headline: one line; text: the whole of it, headline included. subject: the lane, bot, link or node that it is about, or "".
    """

    kind: Kind
    rule: str
    subject: str
    severity: Severity
    headline: str
    text: str
    since_ms: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class AlertKey:
    """Which alert: a rule, and what it is about ("" for all)."""

    rule: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeStatus:
    """A worker that judges alerts. judged_ms: when it did last; waits_since_ms: of the oldest record in its spools, or None."""

    node: int
    judged_ms: int
    waits_since_ms: int | None


class Channel(Protocol):
    """A way to people. `tell` raises nothing: it answers None once the message is taken, or why it was not, without secrets."""

    @property
    def name(self) -> str: ...
    async def tell(self, message: Message, /) -> str | None: ...
