"""What a bot sent, as the server accepted it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.telegram.account import BotSide


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One button below a message."""

    text: str
    url: str | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One accepted message. `at` is the machine's monotonic clock, `chat_id` is negative for groups."""

    bot: BotSide
    chat_id: int
    message_id: int
    text: str
    random_id: int
    at: float
    buttons: tuple[tuple[Button, ...], ...] = ()
    media: str | None = None
    reply_to: int | None = None


def sent(request: Any, *, bot: BotSide, chat_id: int, message_id: int, at: float) -> Sent:
    """What a sendMessage or sendMedia asked for."""
    return Sent(
        bot=bot,
        chat_id=chat_id,
        message_id=message_id,
        text=request.message,
        random_id=request.random_id,
        at=at,
        buttons=_buttons(request.reply_markup),
        media=_media(getattr(request, "media", None)),
        reply_to=_reply_to(request),
    )


def _buttons(markup: Any) -> tuple[tuple[Button, ...], ...]:
    rows = getattr(markup, "rows", None) or []
    return tuple(tuple(_button(button) for button in row.buttons) for row in rows)


def _button(button: Any) -> Button:
    # What a button does stands in an object of its own since the layers of 2026.
    action = getattr(button, "type", button)
    return Button(text=button.text, url=getattr(action, "url", None), data=getattr(action, "data", None))


def _media(media: Any) -> str | None:
    """Its URL, or what it is if it has none."""
    return None if media is None else getattr(media, "url", None) or type(media).__name__


def _reply_to(request: Any) -> int | None:
    # The field was a plain number before layer 159.
    return getattr(request, "reply_to_msg_id", None) or getattr(
        getattr(request, "reply_to", None), "reply_to_msg_id", None
    )
