"""People, bot accounts and what an account remembers: its log of updates, which outlives every client."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

FIRST_PTS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a Telegram account."""

    id: int
    name: str
    language: str | None = "pt-br"
    premium: bool = False

    def access_hash(self, bot_id: int) -> int:
        """What this bot must say to reach the person: never zero, and another for each bot."""
        return int.from_bytes(sha256(f"{bot_id}:{self.id}".encode()).digest()[:7]) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A basic group that a bot is in."""

    id: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """An update with its place in a log: pts for messages, qts for the rest."""

    at: int
    update: Any


@dataclass(eq=False, slots=True, kw_only=True)
class BotSide:
    """A bot's account as Telegram keeps it. `first` is where its numbers begin."""

    id: int
    username: str
    token: str = field(repr=False)
    first: int = FIRST_PTS
    messages: list[Logged] = field(default_factory=list, repr=False)
    others: list[Logged] = field(default_factory=list, repr=False)
    people: dict[int, Person] = field(default_factory=dict, repr=False)
    groups: dict[int, Group] = field(default_factory=dict, repr=False)
    blocked_by: set[int] = field(default_factory=set, repr=False)
    random_ids: set[int] = field(default_factory=set, repr=False)
    expired_tokens: set[str] = field(default_factory=set, repr=False)
    banned: bool = False
    migrate_to: int | None = None

    @property
    def pts(self) -> int:
        """How far the log of messages is."""
        return self.first + len(self.messages)

    @property
    def qts(self) -> int:
        """How far the log of everything else is."""
        return self.first - FIRST_PTS + len(self.others)

    def log(self, update: Any) -> None:
        """Append an update that carries the account's next pts."""
        update.pts, update.pts_count = self.pts + 1, 1
        self.messages.append(Logged(at=update.pts, update=update))

    def log_other(self, update: Any) -> None:
        """Append an update that carries the account's next qts."""
        update.qts = self.qts + 1
        self.others.append(Logged(at=update.qts, update=update))

    def since(self, pts: int) -> list[Logged]:
        """What the log holds after that pts."""
        return self.messages[max(pts - self.first, 0) :]

    def others_since(self, qts: int) -> list[Logged]:
        """What the other log holds after that qts. Nothing if the client says that it does not ask for it."""
        return [] if qts < 0 else self.others[max(qts - self.first + FIRST_PTS, 0) :]
