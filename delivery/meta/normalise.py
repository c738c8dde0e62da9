"""Normalise: from what a person is called to what Meta compares, hashed before anything is stored (Customer Information
Parameters of the Conversions API).

What cannot be used is left out and named: the digest of a wrong value matches nobody, and a wrong format can lose a
batch. Values stand in no result, log or error; only the names of fields do.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from delivery.meta.email import email_address
from delivery.meta.letters import MOST, digest, given_digest, letters
from delivery.meta.phone import phone_digits
from delivery.meta.place_names import BRAZIL
from delivery.meta.places import city_names, country_code, state_code

KEYS = {
    "email": "em",
    "phone": "ph",
    "first_name": "fn",
    "last_name": "ln",
    "gender": "ge",
    "birth_date": "db",
    "city": "ct",
    "state": "st",
    "zip": "zp",
    "country": "country",
}
"""Names of our API and Meta's names for them."""
_NOTHING = frozenset({"null", "undefined", "n/a"})
_OTHER_DIGEST = re.compile(r"[0-9a-fA-F]{32,}")
_GENDERS = {
    "f": "f",
    "female": "f",
    "feminino": "f",
    "mulher": "f",
    "m": "m",
    "male": "m",
    "masculino": "m",
    "homem": "m",
}
_DATES = (
    re.compile(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)", re.ASCII),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})", re.ASCII),
    re.compile(r"(?P<day>\d{1,2})[/.-](?P<month>\d{1,2})[/.-](?P<year>\d{4})", re.ASCII),
)
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_ZIP_OF_US = re.compile(r"(\d{5})(?:\d{4})?", re.ASCII)
_ZIP_OF_US_WITH_DASH = re.compile(r"\s*(\d{5})-\d{4}\s*", re.ASCII)
_CEP = re.compile(r"\d{8}", re.ASCII)
_OTHER_ZIP = re.compile(r"(?=.*\d)[a-z0-9]{3,10}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """What of a person can be sent: SHA-256 in hex by Meta's short names, and which fields were of no use (names only)."""

    person: dict[str, tuple[str, ...]]
    ignored: tuple[str, ...]


def digests(given: Mapping[str, str], *, phone_country: str, telegram_id: int | None) -> Digests:
    """Digests of what was given under our API's names; other names are not looked at. Raises nothing on any text.

    phone_country: the calling code that numbers without one get. telegram_id: whose, to know an address made of it.
    """
    country = country_code(_text(given.get("country")))
    normal: dict[str, Callable[[str], tuple[str, ...]]] = {
        "email": lambda text: _one(email_address(text, telegram_id)),
        "phone": lambda text: _one(phone_digits(text, phone_country)),
        "first_name": lambda text: _one(_name(text)),
        "last_name": lambda text: _one(_name(text)),
        "gender": lambda text: _one(_GENDERS.get(letters(text))),
        "birth_date": lambda text: _one(_birth_date(text.strip())),
        "city": city_names,
        "state": lambda text: _one(state_code(text, country)),
        "zip": lambda text: _one(zip_code(text, country)),
        "country": lambda text: _one(country_code(text)),
    }
    found = {name: _hashed(_text(given[name]), normal[name]) for name in KEYS if name in given}
    return Digests(
        person={KEYS[name]: values for name, values in found.items() if values},
        ignored=tuple(name for name, values in found.items() if not values),
    )


def hashed_city(city: str) -> tuple[str, ...]:
    """Digests of a city: with its accents, and without."""
    return tuple(map(digest, city_names(city)))


def hashed_state(state: str, country: str | None) -> tuple[str, ...]:
    """The digest of a state of that country (a code or a name of it); none when it is not known."""
    return tuple(map(digest, _one(state_code(state, country_code(country or "")))))


def hashed_country(country: str) -> tuple[str, ...]:
    """The digest of a country; none when it is not known."""
    return tuple(map(digest, _one(country_code(country))))


def zip_code(text: str, country: str | None = None) -> str | None:
    """Digits and letters only. Eight digits in Brazil, the first five in the US; as given where the country is not known."""
    if country in {None, "us"} and (dashed := _ZIP_OF_US_WITH_DASH.fullmatch(text)):
        return dashed[1]
    code = "".join(char for char in text.lower() if not char.isspace() and char not in "-.")
    if len(set(code)) < 2:  # 00000-000 is what a form wants to hear
        return None
    if country == "us":
        found = _ZIP_OF_US.fullmatch(code)
        return found[1] if found else None
    wanted = _CEP if country == BRAZIL else _OTHER_ZIP
    return code if wanted.fullmatch(code) else None


def _text(value: object) -> str:
    """Whatever else comes, is too long, or is what programs write where there is nothing, says nothing."""
    if not isinstance(value, str) or len(value) > MOST or value.strip().lower() in _NOTHING:
        return ""
    return value


def _hashed(text: str, normal: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """A digest as it is, and one of another kind (MD5, or of nothing) not at all."""
    word = text.strip()
    given = given_digest(word)
    if given or _OTHER_DIGEST.fullmatch(word):
        return _one(given)
    return tuple(map(digest, normal(text)))


def _one(text: str | None) -> tuple[str, ...]:
    return (text,) if text else ()


def _name(text: str) -> str | None:
    """Letters; an e-mail address is no name."""
    if "@" in text:
        return None
    name = letters(text)
    return name if any(map(str.isalpha, name)) else None


def _birth_date(text: str) -> str | None:
    """YYYYMMDD from that, from ISO 8601, or day before month as in Brazil; None for a day that there is not."""
    found = next(filter(None, (pattern.fullmatch(text) for pattern in _DATES)), None)
    if not found:
        return None
    try:
        day = date(int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError:
        return None
    return day.strftime("%Y%m%d") if _FIRST_YEAR <= day.year <= _LAST_YEAR else None
