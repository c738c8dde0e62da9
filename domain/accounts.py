"""A bot as the worker that is logged in as it keeps it: whose it is, what it has heard, where its updates stand."""

from dataclasses import dataclass

from domain.links import Bot


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateState:
    """Up to where a bot's updates are done, in Telegram's own counters; `date` is Unix seconds."""

    pts: int
    qts: int
    date: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a worker has to say of a bot since the last time; None: nothing new. Times are UTC ms.

    heard_at_ms: the last update that came; checked_at_ms: the last call that Telegram answered.
    """

    heard_at_ms: int | None = None
    checked_at_ms: int | None = None
    state: UpdateState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who is a bot at the moment, and until when nobody else may be (UTC ms)."""

    worker: str
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStatus:
    """A bot as an operator sees it. `has_token`: one is sealed in SQL. `health_at_ms`: since when its health is what it is."""

    bot: Bot
    telegram_id: int | None
    has_token: bool
    worker: str | None
    worker_until_ms: int | None
    heard_at_ms: int | None
    checked_at_ms: int | None
    health_at_ms: int | None

    def served(self, now_ms: int) -> bool:
        """True while a worker holds its lease."""
        return self.worker is not None and (self.worker_until_ms or 0) > now_ms
