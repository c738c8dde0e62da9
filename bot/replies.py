"""What a bot answers to a start: the link's greeting in the person's language, or one of ours."""

import string
from collections.abc import Iterator, Mapping

from bot.incoming import Outgoing, Person
from domain.click import Ad
from domain.errors import ConfigError
from domain.links import Greeting, Link

# Of Telegram: UTF-16 units of a message, and of what stands below a picture.
MAX_TEXT, MAX_CAPTION = 4096, 1024
MAX_FIELD = 100
FIELDS = ("name", "source", "campaign", "medium", "content", "term")
DEFAULTS = (
    Greeting(language="pt", text="Olá, {name}! Que bom ter você aqui. 👋"),
    Greeting(language="en", text="Hello, {name}! Good to have you here. 👋"),
)
_NAMELESS = {"pt": "tudo bem", "en": "there"}
_FALLBACK = "pt"


def reply_to(person: Person, link: Link | None, ad: Ad | None) -> Outgoing:
    """The answer to a start by that link, None for a direct one. Fields that are not known are empty."""
    ours = _in_language(DEFAULTS, person.language)
    greeting = _in_language(link.greetings, person.language) if link and link.greetings else ours
    text = _filled(greeting, person, ad)
    if not text and greeting.photo_url is None:
        text = _filled(ours, person, ad)  # a template of nothing but fields that are not known
    return Outgoing(text=text, buttons=greeting.buttons, photo_url=greeting.photo_url)


def _filled(greeting: Greeting, person: Person, ad: Ad | None) -> str:
    text = string.Formatter().vformat(greeting.text, (), _fields(person, ad, greeting.language))
    return _cropped(text.strip(), MAX_CAPTION if greeting.photo_url else MAX_TEXT)


def _cropped(text: str, units: int) -> str:
    """At most so many UTF-16 units, and no half of a character."""
    return text.encode("utf-16-le", errors="replace")[: 2 * units].decode("utf-16-le", errors="ignore")


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", errors="replace")) // 2


def valid_template(text: str, *, with_photo: bool) -> str:
    """The text of a greeting, or ConfigError: braces hold one of FIELDS, and Telegram takes its length."""
    try:
        names = [
            name + (spec or "") + (conversion or "")
            for _, name, spec, conversion in string.Formatter().parse(text)
            if name is not None
        ]
    except ValueError as error:
        raise ConfigError(f"not a greeting: {error}. Write {{{{ and }}}} for braces") from None
    unknown = sorted(set(names) - set(FIELDS))
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise ConfigError(f"not a field of a greeting: {{{unknown[0]}}}. There are {known}")
    limit = MAX_CAPTION if with_photo else MAX_TEXT
    if not 0 < _units(text) <= limit:
        raise ConfigError(f"a greeting has 1 to {limit} characters{' below a picture' * with_photo}")
    return text


def _in_language(greetings: tuple[Greeting, ...], language: str) -> Greeting:
    """The person's own language, its main part, ours, any."""
    by_language = {greeting.language: greeting for greeting in greetings}
    wanted = [*_tags(language), _FALLBACK if not language else "en", _FALLBACK]
    return next((by_language[tag] for tag in wanted if tag in by_language), greetings[0])


def _tags(language: str) -> Iterator[str]:
    tag = language.lower().replace("_", "-")
    yield tag
    yield tag.partition("-")[0]


def _fields(person: Person, ad: Ad | None, language: str) -> Mapping[str, str]:
    name = person.first_name.strip() or _NAMELESS.get(language.partition("-")[0], "")
    found = {field: _shown(getattr(ad, field)) if ad else "" for field in FIELDS[1:]}
    return found | {"name": name[:MAX_FIELD]}


def _shown(text: str) -> str:
    """What a person may read of `Campaign name|1202…`: the name."""
    return text.partition("|")[0].strip()[:MAX_FIELD]
