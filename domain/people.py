"""People of a bot: when they came, which clicks brought them, and what became of the answers to their starts."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from domain.attribution import Owner
from domain.enrichment import Agent

ReplyOutcome = Literal["sent", "refused"]
_ID_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What became of the answer to a start: sent, or refused by Telegram for good. `at_ms` is UTC milliseconds."""

    start_id: UUID
    outcome: ReplyOutcome
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickTouch:
    """A click that brought a person, and when they pressed START with it (UTC milliseconds).

    `tracking_session_id` is the click's id. `link_id`, `ip_hash` (the visitor key, in hexadecimal digits) and `user_agent`
    (a summary) are None where SQL does not have them: not yet, erased, or past their time.
    """

    started_at_ms: int
    tracking_session_id: UUID
    click_timestamp_ms: int
    link_id: int | None
    ip_hash: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotUser:
    """A person as one bot knows them. Times are UTC milliseconds.

    `first_touch` and `last_touch`: the clicks of the first and the last start that won one; None for somebody who never
    did. `blocked_at_ms`: when they last blocked the bot or took that back.
    """

    owner: Owner
    first_started_at_ms: int
    last_started_at_ms: int
    first_touch: ClickTouch | None
    last_touch: ClickTouch | None
    blocked: bool
    blocked_at_ms: int | None


def agent_summary(agent: Agent) -> str | None:
    """Browser, system and device in words, as far as they are known; None when nothing is."""
    device = None if agent.device == "unknown" else agent.device
    parts = (_versioned(agent.browser, agent.browser_version), _versioned(agent.os, agent.os_version), device)
    return ", ".join(part for part in parts if part) or None


def _versioned(name: str | None, version: str | None) -> str | None:
    return f"{name} {version}" if name and version else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How much there is of a person, as an erasure would find it now. `incomplete` names stores that could not be asked."""

    clicks: int
    starts: int
    conversions: int
    bot_users: int
    waiting: int
    incomplete: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """True when no store that could be asked has anything."""
        return not (self.clicks or self.starts or self.conversions or self.bot_users or self.waiting)


def telegram_id_of(text: str) -> int | None:
    """A person's numeric Telegram id as people write it, at most 52 significant bits; None for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS):
        return None
    return int(text) if 0 < int(text) < 1 << 52 else None
