"""The dashboard's texts: one TOML file for each page, each text in English and in Portuguese."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from domain.errors import ConfigError

Language = Literal["en", "pt"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
FOLDER = Path(__file__).with_name("texts")


@dataclass(frozen=True, slots=True)
class Texts:
    """Every text by its key (`links.title`), in each language."""

    by_key: Mapping[str, Mapping[str, str]]

    def __contains__(self, key: object) -> bool:
        return key in self.by_key

    def say(self, language: Language, key: str, **values: object) -> str:
        """The text, its `{name}`s filled in. KeyError for a key that there is not: a fault of the page."""
        text = self.by_key[key][language]
        return text.format(**values) if values else text

    def word(self, language: Language, table: str, word: str) -> str:
        """What a word of the data is called (`links.health`, `ok`); one that has no text, such as a newer version's, as it is."""
        key = f"{table}.{word}"
        return self.say(language, key) if key in self else word


def load_texts(folder: Path = FOLDER) -> Texts:
    """The texts of every file. ConfigError when one lacks a language, or when two have one key."""
    found: dict[str, Mapping[str, str]] = {}
    for file in sorted(folder.glob("*.toml")):
        for key, text in _entries(tomllib.loads(file.read_text())):
            if key in found or set(text) != set(LANGUAGES):
                raise ConfigError(f"{file.name}: {key} must stand once, with {' and '.join(LANGUAGES)}")
            found[key] = text
    return Texts(found)


def _entries(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, str]]]:
    """Texts are tables of strings only; what holds tables is a part of their keys."""
    for name, value in tables.items():
        if all(isinstance(inner, str) for inner in value.values()):
            yield prefix + name, value
        else:
            yield from _entries(value, f"{prefix}{name}.")


def preferred(accept: str) -> Language:
    """The first language of an Accept-Language header that there are texts in; English if none is."""
    ranked = sorted(map(_ranked, accept.split(",")[:20]), key=lambda item: -item[1])
    for tag, quality in ranked:
        found = next((known for known in LANGUAGES if tag.partition("-")[0] == known), None)
        if found and quality > 0:
            return found
    return "en"


def _ranked(item: str) -> tuple[str, float]:
    tag, _, weight = item.strip().lower().partition(";q=")
    try:
        return tag.strip(), float(weight or 1)
    except ValueError:
        return tag.strip(), 0.0
