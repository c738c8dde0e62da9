"""A private message to a bot and the answer to it, without any Telegram library in them."""

from dataclasses import dataclass

from domain.links import Bot, Button


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who writes, as Telegram tells it. `language` is their app's, such as pt-br; Telegram may not say."""

    telegram_id: int
    first_name: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A private message. `message_id` is unique within the bot, and the same however often the message comes."""

    bot: Bot
    person: Person
    message_id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What to answer: plain text, buttons one below the other, a picture above it."""

    text: str
    buttons: tuple[Button, ...] = ()
    photo_url: str | None = None
