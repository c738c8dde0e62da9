"""Start and Owner: a Telegram user redeeming a token."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from domain.ids import named_uuid, random_uuid

StartKind = Literal["attributed", "taken", "direct"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A person as one bot sees them. Never compared across bots."""

    bot_id: int
    telegram_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickRef:
    """What a verified token says by itself: enough to attribute a start to its link and ad with every store lost."""

    id: UUID
    link_id: int
    node: int
    ad_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A START pressed. `click` is None for a direct start: a person who opened the bot without an ad."""

    id: UUID
    owner: Owner
    at_ms: int
    click: ClickRef | None

    @classmethod
    def with_token(cls, owner: Owner, click: ClickRef, *, at_ms: int, update_id: int | None) -> "Start":
        """A start that names a click. Repeats of it (same update, or same person and token) are the same start."""
        identifier = _start_id(owner, update_id, str(click.id))
        return cls(id=identifier, owner=owner, at_ms=at_ms, click=click)

    @classmethod
    def direct(cls, owner: Owner, *, at_ms: int, update_id: int | None) -> "Start":
        """A start that names no click."""
        return cls(id=_start_id(owner, update_id, None), owner=owner, at_ms=at_ms, click=None)


def _start_id(owner: Owner, update_id: int | None, click: str | None) -> UUID:
    if update_id is not None:
        return named_uuid("start", f"{owner.bot_id}/{owner.telegram_id}/update/{update_id}")
    if click is not None:
        return named_uuid("start", f"{owner.bot_id}/{owner.telegram_id}/click/{click}")
    return random_uuid()
