"""Words: sentences, times and durations in one language and the operator's zone."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from analytics.explain.texts import TEXTS
from domain.advice import Language
from domain.conversions import MICROS, Money
from domain.errors import ConfigError

LANGUAGES: tuple[Language, ...] = ("en", "pt")
_DATES = {"en": "%Y-%m-%d %H:%M:%S", "pt": "%d/%m/%Y %H:%M:%S"}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def language_of(text: str) -> Language:
    """En or pt (pt-BR too), or ConfigError."""
    found = next((one for one in LANGUAGES if text.lower().replace("_", "-").split("-")[0] == one), None)
    if found is None:
        raise ConfigError(f"not a language: {text!r}. Give en or pt")
    return found


class Words:
    """Says things to one reader."""

    def __init__(self, language: Language, zone: ZoneInfo) -> None:
        self.language: Language = language
        self.zone = zone
        self._of = LANGUAGES.index(language)

    def say(self, key: str, **values: Any) -> str:
        """The sentence of that key."""
        return TEXTS[key][self._of].format(**values)

    def sentence(self, key: str, **values: Any) -> str:
        """As `say`, beginning with a capital."""
        text = self.say(key, **values)
        return text[:1].upper() + text[1:]

    def time(self, at_ms: int) -> str:
        """By the operator's clock."""
        return f"{datetime.fromtimestamp(at_ms / 1000, self.zone):{_DATES[self.language]}}"

    def span(self, ms: int) -> str:
        """`350 ms`, `2 s`, `3 min 5 s`, `4 h 10 min`, `2 d 3 h`: the two largest units."""
        ms = abs(ms)
        if ms < 1000:
            return f"{ms} ms"
        left, parts = ms // 1000, list[str]()
        for seconds, unit in _UNITS:
            number, left = divmod(left, seconds)
            if number or parts:
                parts.append(f"{number} {unit}" if number else "")
        return " ".join(part for part in parts[:2] if part)

    def money(self, money: Money) -> str:
        """An amount, with the decimal mark of the language."""
        whole, rest = divmod(money.micros, MICROS)
        digits = f"{rest:06}".rstrip("0").ljust(2, "0")
        return f"{whole}{',' if self.language == 'pt' else '.'}{digits} {money.currency}"

    def yes_no(self, *, holds: bool) -> str:
        """Yes or no."""
        return self.say("yes" if holds else "no")
