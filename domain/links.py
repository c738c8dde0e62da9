"""Link, Bot and Catalog: where an ad leads."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from domain.conversions import CLICK_EVENT
from domain.errors import ConfigError

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_USERNAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{3,31}")
_EVENT = re.compile(r"[A-Za-z0-9_-]{1,50}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,4})?")
_JOINER = "\u200d"  # within many emoji
MAX_LINK_ID = 0xFF_FFFF
MAX_URL = 2000
MAX_BUTTONS, MAX_BUTTON_TEXT = 8, 64
MAX_EVENTS_OFF = 500  # characters of their names, with a space between them
T = TypeVar("T")


BotHealth = Literal["unknown", "ok", "banned", "revoked", "renamed"]
Strategy = Literal["weighted", "round_robin", "priority"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """A Telegram bot, by its username without `@`.

    health: unknown until a worker has seen it; banned, revoked and renamed mean that no person reaches it by its link.
    webhook_key: SHA-256 of the secret that comes with its webhook's calls, in hexadecimal, or None.
    """

    id: int
    username: str
    health: BotHealth = "unknown"
    webhook_key: str | None = None

    @property
    def fit(self) -> bool:
        """True when a visitor may be sent to it."""
        return self.health in {"unknown", "ok"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A bot in a link's pool: its share, and its place in the order (1 comes first). The strategy says what counts."""

    bot: Bot
    weight: int = 1
    priority: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button under a greeting, which opens a URL."""

    text: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What a link's bots answer to a start in one language: a template (bot/replies.py), buttons, a picture by its URL."""

    language: str
    text: str
    buttons: tuple[Button, ...] = ()
    photo_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One `/go/SLUG`. `pixel` is the id of the Meta dataset that its conversions go to, or None.

    pool: its bots, by priority. bridge: visitors get a page with a button instead of a redirect. events_off: names of
    events that are not reported.
    """

    id: int
    slug: str
    name: str
    pool: tuple[Member, ...]
    strategy: Strategy = "weighted"
    bridge: bool = False
    paused: bool = False
    fallback_url: str | None = None
    pixel: str | None = None
    events_off: tuple[str, ...] = (CLICK_EVENT,)
    greetings: tuple[Greeting, ...] = ()

    @property
    def bot(self) -> Bot | None:
        """The first bot of its pool."""
        return self.pool[0].bot if self.pool else None

    @property
    def live(self) -> bool:
        """True when a visitor is sent to a bot."""
        return bool(self.pool) and not self.paused


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Every link and bot at one moment. `version` grows with each change."""

    version: int
    links: tuple[Link, ...] = ()
    bots: tuple[Bot, ...] = ()

    def by_slug(self) -> dict[str, Link]:
        """Links by slug; slugs are unique over the whole installation (never per owner)."""
        return {link.slug: link for link in self.links}

    def bot(self, username: str) -> Bot | None:
        """The bot of that username; Telegram's usernames do not tell case apart."""
        return _first(bot for bot in self.bots if bot.username.lower() == username.lower().removeprefix("@"))

    def link(self, link_id: int) -> Link | None:
        """The link of that id."""
        return _first(link for link in self.links if link.id == link_id)


def _first(items: Iterable[T]) -> T | None:
    return next(iter(items), None)


def valid_slug(text: str) -> str:
    """The slug, or ConfigError: 1-64 letters, digits, `-` and `_`, starting with a letter or digit."""
    if not _SLUG.fullmatch(text):
        msg = f"not a slug: {text!r}. Use 1-64 letters, digits, '-' and '_', starting with a letter or digit"
        raise ConfigError(msg)
    return text


def valid_username(text: str) -> str:
    """A bot's username without `@`, or ConfigError: 4-32 letters, digits and `_`, starting with a letter."""
    name = text.removeprefix("@")
    if not _USERNAME.fullmatch(name):
        msg = f"not a bot username: {text!r}. Telegram allows 4-32 letters, digits and '_', starting with a letter"
        raise ConfigError(msg)
    return name


def valid_event(name: str) -> str:
    """An event's name that can be switched off, or ConfigError: 1-50 letters, digits, `_` and `-`. Case counts, as at Meta."""
    if not _EVENT.fullmatch(name):
        raise ConfigError(f"not an event: {name!r}. Use 1-50 letters, digits, '_' and '-', such as PageView")
    return name


def valid_events_off(names: Iterable[str]) -> tuple[str, ...]:
    """Names of events that a link does not report, each once, in order; or ConfigError."""
    found = tuple(sorted({valid_event(name) for name in names}))
    if len(" ".join(found)) > MAX_EVENTS_OFF:
        raise ConfigError(
            f"the names of a link's events that are off have more than {MAX_EVENTS_OFF} characters"
        )
    return found


def valid_fallback(text: str) -> str:
    """An absolute http(s) URL without credentials or control characters, or ConfigError."""
    if not _is_url(text, "http", "https"):
        raise ConfigError(f"not a fallback URL: {text!r}. Give an absolute http:// or https:// URL")
    return text


def valid_language(text: str) -> str:
    """A language's tag as Telegram writes it (pt, pt-br), or ConfigError."""
    tag = text.lower().replace("_", "-")
    if not _LANGUAGE.fullmatch(tag):
        raise ConfigError(f"not a language: {text!r}. Give a tag such as pt, en or pt-br")
    return tag


def valid_button(text: str, url: str) -> Button:
    """A button of 1-64 printable characters that opens an https:// or tg:// URL, or ConfigError."""
    label = text.strip()
    shown = label.replace(_JOINER, "")
    if not (shown and shown.isprintable() and len(label) <= MAX_BUTTON_TEXT):
        raise ConfigError(
            f"not the text of a button: {text!r}. Give 1 to {MAX_BUTTON_TEXT} printable characters"
        )
    if not _is_url(url, "https", "tg"):
        raise ConfigError(f"not a button's URL: {url!r}. Give an absolute https:// or tg:// URL")
    return Button(text=label, url=url)


def valid_buttons(buttons: Iterable[Button]) -> tuple[Button, ...]:
    """At most eight valid buttons, or ConfigError."""
    found = tuple(valid_button(button.text, button.url) for button in buttons)
    if len(found) > MAX_BUTTONS:
        raise ConfigError(f"no more than {MAX_BUTTONS} buttons stand below a greeting")
    return found


def valid_photo(url: str) -> str:
    """An absolute https URL, or ConfigError."""
    if not _is_url(url, "https"):
        raise ConfigError(f"not a picture's URL: {url!r}. Give an absolute https:// URL")
    return url


def _is_url(text: str, *schemes: str) -> bool:
    """An absolute URL of ASCII, with a host, without credentials, that everything reads alike."""
    if not (text.isascii() and text.isprintable() and " " not in text and "\\" not in text):
        return False
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return len(text) <= MAX_URL and parts.scheme in schemes and bool(host) and "@" not in parts.netloc


def valid_pixel(text: str) -> str:
    """The id of a Meta dataset (pixel): 5-20 digits, or ConfigError."""
    if not re.fullmatch(r"[0-9]{5,20}", text):
        msg = f"not a Meta pixel id: {text!r}. It is a number of 5 to 20 digits"
        raise ConfigError(msg)
    return text
