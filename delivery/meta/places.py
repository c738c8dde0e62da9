"""Cities, states and countries as Meta compares them. What is not certain is None rather than a guess."""

import re

from delivery.meta.letters import letters, plain_letters
from delivery.meta.place_names import ALPHA2, ALPHA3, BRAZIL, COUNTRIES, STATES_OF_BRAZIL, STATES_OF_US

_AFTER_CITY = re.compile(r"\s*[-–/,(]\s*([A-Za-z]{2})\s*\)?\s*")
_STATE_OF = re.compile(r"^(?:estado d[aeo]|state of)\s+", re.IGNORECASE)


def country_code(text: str) -> str | None:
    """ISO 3166-1 alpha-2 in lower case, from alpha-2, alpha-3, or a usual name in Portuguese, English or Spanish."""
    name = plain_letters(text)
    return name if name in ALPHA2 else ALPHA3.get(name) or COUNTRIES.get(name)


def state_code(text: str, country: str | None = None) -> str | None:
    """The state as Meta compares it: two letters in Brazil and in the US, letters without accents elsewhere.

    Without a country (alpha-2, lower case) it is taken for Brazil's when it has the name of one of Brazil's.
    """
    name = plain_letters(_STATE_OF.sub("", text.strip()))
    if "@" in text or not any(map(str.isalpha, name)):
        return None
    if country == BRAZIL:
        return _known(name, STATES_OF_BRAZIL)
    if country == "us":
        return _known(name, STATES_OF_US)
    if country is None:
        return STATES_OF_BRAZIL.get(name) or STATES_OF_US.get(name) or name
    return name


def city_names(text: str) -> tuple[str, ...]:
    """The city with its accents, and without them when that is another text. A state of Brazil behind it is dropped."""
    city = _without_state(text)
    accented, plain = letters(city), plain_letters(city)
    if "@" in city or not any(map(str.isalpha, accented)):
        return ()
    return (accented,) if plain == accented or not plain.isascii() else (accented, plain)


def _known(name: str, states: dict[str, str]) -> str | None:
    return name if name in states.values() else states.get(name)


def _without_state(text: str) -> str:
    """`São Paulo - SP`, `Recife/PE`, `Natal (RN)`: as forms have them."""
    city = text.strip()
    at = max(city.rfind(mark) for mark in "-–/,(")
    found = _AFTER_CITY.fullmatch(city, at) if at > 0 else None
    return city[:at] if found and found[1].lower() in STATES_OF_BRAZIL.values() else city
