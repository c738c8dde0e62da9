"""Phone numbers as Meta compares them: digits with the country's code, no zeros in front."""

import re
import unicodedata

BRAZIL = "55"
_LEAST, _MOST = 8, 15
"""Digits of an international number: ITU-T E.164 allows 15."""
_SEPARATORS = {"Zs", "Cf", "Pd", "Ps", "Pe"}
_WRITTEN = re.compile(r"(?:tel:)?([+0-9]+(?:\.[0-9]+)*)", re.IGNORECASE)
_NATIONAL = re.compile(
    r"(?:1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9])(?:9\d{8}|[2-9]\d{7})"
)
"""Brazil's area codes, then nine digits for a mobile, eight for others and for mobiles as they once were (Anatel)."""


def phone_digits(text: str, country: str) -> str | None:
    """The number with its country's code; one without gets `country`, None when it is no number that can be called.

    `+` and `00` say that the code is there. Letters, two numbers in one text, and extensions are refused.
    """
    written = _WRITTEN.fullmatch(_without_separators(text.replace("(0)", "")))
    if not written or "+" in written[1][1:]:
        return None
    number = written[1].replace(".", "")
    digits = number.lstrip("+0")
    if number.startswith(("+", "00")):
        return _sound(_international(digits))
    return _sound(_with_country(digits, country, trunk=number.startswith("0")))


def _with_country(digits: str, country: str, *, trunk: bool) -> str | None:
    if country == BRAZIL:
        if _NATIONAL.fullmatch(digits):
            return BRAZIL + digits
        # Behind a zero stands an area or a carrier's code, whichever country that looks like.
        foreign = len(digits) > 10 and not trunk
        return _international(digits) if foreign or digits.startswith(BRAZIL) else None
    if not trunk and digits.startswith(country) and len(digits) > 10:
        return digits
    return country + digits if len(digits) <= 11 else digits


def _international(digits: str) -> str | None:
    """As it is; in Brazil's numbers the zero that is dialled at home goes, and what is left is one that there is."""
    if not digits.startswith(BRAZIL):
        return digits
    national = digits[2:].lstrip("0")
    return BRAZIL + national if _NATIONAL.fullmatch(national) else None


def _sound(digits: str | None) -> str | None:
    return digits if digits and _LEAST <= len(digits) <= _MOST and len(set(digits)) > 1 else None


def _without_separators(text: str) -> str:
    kept = (char for char in unicodedata.normalize("NFKC", text) if not _separates(char))
    return "".join(kept)


def _separates(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) in _SEPARATORS
