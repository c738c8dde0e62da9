"""The conversions of an export: those that SQL has, and those that still wait in a spool."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from backends.sql.subject import Conversion as NotedConversion
from backends.sql.subject import Subject
from domain.conversions import MICROS, Conversion

Iso = Callable[[int | None], str | None]


def conversions_json(subject: Subject, waiting: Sequence[Conversion], iso: Iso) -> list[dict[str, Any]]:
    """A conversion for each way that it went; `deferred` while it waits. Of e-mail, phone and names there are digests only."""
    known = {noted.id for noted in subject.conversions}
    return [_noted(noted, subject, iso) for noted in subject.conversions] + [
        _waiting(conversion, subject, iso) for conversion in waiting if conversion.id not in known
    ]


def _noted(noted: NotedConversion, subject: Subject, iso: Iso) -> dict[str, Any]:
    way = {
        "state": noted.state,
        "reason": noted.reason,
        "pixel": noted.pixel,
        "webhook": noted.webhook,
        "sent_at": iso(noted.sent_at_ms),
        "matched": list(noted.matched),
    }
    return _told(noted, noted.click_id, noted.bot_id, subject, iso) | way


def _waiting(conversion: Conversion, subject: Subject, iso: Iso) -> dict[str, Any]:
    click_id = conversion.click.id if conversion.click else None
    bot_id = conversion.owner.bot_id if conversion.owner else None
    way: dict[str, Any] = dict.fromkeys(("reason", "pixel", "webhook", "sent_at"))
    way |= {"state": "deferred", "matched": []}
    return _told(conversion, click_id, bot_id, subject, iso) | way


def _told(
    conversion: Conversion | NotedConversion,
    click_id: UUID | None,
    bot_id: int | None,
    subject: Subject,
    iso: Iso,
) -> dict[str, Any]:
    money = conversion.money
    return {
        "click": str(click_id) if click_id else None,
        "bot": None if bot_id is None else subject.bots.get(bot_id),
        "event": conversion.event,
        "event_at": iso(conversion.at_ms),
        "order_id": conversion.order_id,
        "value": money.micros / MICROS if money else None,
        "currency": money.currency if money else None,
        "custom": dict(conversion.custom),
        "person": {key: list(digests) for key, digests in conversion.person.items()},
    }
