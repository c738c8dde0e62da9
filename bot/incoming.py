"""A private message to a bot and the answer to it, without any Telegram library in them."""

from dataclasses import dataclass, field

from domain.links import Bot, Button

# Telegram shows names of up to 64 characters; language tags have at most 35 (RFC 5646).
MAX_NAME, MAX_LANGUAGE = 64, 35


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who writes, as Telegram tells it. `language` is their app's, such as pt-br; Telegram may not say.

    access_hash: what MTProto wants to see in an answer to them.
    """

    telegram_id: int
    first_name: str = ""
    language: str = ""
    access_hash: int = field(default=0, repr=False)

    @classmethod
    def told(
        cls, telegram_id: int, *, first_name: str | None, language: str | None, access_hash: int | None = None
    ) -> "Person":
        """As Telegram tells it, cropped, with what it leaves out empty."""
        return cls(
            telegram_id=telegram_id,
            first_name=(first_name or "")[:MAX_NAME],
            language=(language or "")[:MAX_LANGUAGE],
            access_hash=access_hash or 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A private message. `message_id` is unique within the bot, and the same however often the message comes.

    sent_ms: when it was sent as Telegram dates it, UTC milliseconds of a whole second.
    """

    bot: Bot
    person: Person
    message_id: int
    text: str = field(repr=False)
    sent_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocking:
    """A person has blocked the bot, or no longer blocks it."""

    bot: Bot
    telegram_id: int
    blocked: bool
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What to answer: plain text, buttons one below the other, a picture above it."""

    text: str
    buttons: tuple[Button, ...] = ()
    photo_url: str | None = None
