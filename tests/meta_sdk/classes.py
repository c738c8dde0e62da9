"""Every way in which the SDK's result and ours may differ, each with what has to be true of such a difference.

docs/reference/meta-normalisation.md tells them to operators, with why ours is right.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from tests.meta_sdk.sdk import Made

NAMES = {"first_name", "last_name"}
PLACES = {"city", "state"}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A value, what the SDK makes of it, and the digests that we send (none: the field is left out)."""

    field: str
    value: str
    sdk: Made
    ours: tuple[str, ...]

    @property
    def text(self) -> str:
        return self.sdk.text or ""


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def letters(text: str) -> str:
    """Letters and the signs on them, lower case."""
    kept = (char for char in unicodedata.normalize("NFKC", text).lower() if char.isalpha())
    return "".join(kept)


def plain(text: str) -> str:
    return unicodedata.normalize("NFKD", letters(text)).encode("ascii", "ignore").decode()


def digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", unicodedata.normalize("NFKC", text))


def two_letters() -> set[str]:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return {sha(one + other) for one in alphabet for other in alphabet}


TWO_LETTERS = two_letters()
DIGEST_OF_NOTHING = sha("")
Holds = Callable[[Difference], bool]

# In this order: the first that holds is the class.
CLASSES: dict[str, Holds] = {
    "empty": lambda it: it.sdk.digest == DIGEST_OF_NOTHING and not it.ours,
    "not-sha256": lambda it: bool(re.fullmatch(r"[0-9a-f]{32}", it.text)) and not it.ours,
    "too-long": lambda it: len(it.value) > 254 and not it.ours,
    "placeholder": lambda it: it.value.strip().lower() in {"null", "undefined", "n/a"} and not it.ours,
    "raises": lambda it: it.sdk.error is not None and not it.ours,
    "email-of-nobody": lambda it: it.field == "email" and not it.ours,
    "phone-without-country": lambda it: (
        it.field == "phone" and it.ours == (sha("55" + digits(it.text).lstrip("0")),)
    ),
    "phone-with-trunk-zero": lambda it: (
        it.field == "phone" and it.text.startswith("550") and it.ours == (sha("55" + it.text[3:]),)
    ),
    "phone-with-dots": lambda it: (
        it.field == "phone" and it.sdk.error is not None and it.ours == (sha("55" + digits(it.value)),)
    ),
    "phone-of-nobody": lambda it: it.field == "phone" and not it.ours,
    "name-letters": lambda it: it.field in NAMES and it.ours == (sha(letters(it.text)),),
    "name-of-nobody": lambda it: (
        it.field in NAMES and not it.ours and ("@" in it.value or not letters(it.text))
    ),
    "gender-word": lambda it: (
        it.field == "gender" and it.ours in {(sha("f"),), (sha("m"),)} and it.text[0] in "fmh"
    ),
    "gender-other": lambda it: it.field == "gender" and not it.ours and it.text not in {"f", "m"},
    "birth-date-form": lambda it: it.field == "birth_date" and it.ours == (sha(_date(it.text)),),
    "birth-date-none": lambda it: it.field == "birth_date" and not it.ours,
    "city-ascii-too": lambda it: it.field == "city" and it.ours == (it.sdk.digest, sha(plain(it.text))),
    "city-letters": lambda it: it.field == "city" and it.ours[:1] == (sha(letters(it.text)),),
    "city-state": lambda it: it.field == "city" and it.ours[:1] == (sha(letters(it.text)[:-2]),),
    "state-code": lambda it: it.field == "state" and it.ours[0:1] != () and it.ours[0] in TWO_LETTERS,
    "state-letters": lambda it: it.field == "state" and it.ours == (sha(plain(it.text)),),
    "place-of-nothing": lambda it: (
        it.field in PLACES and not it.ours and ("@" in it.value or not letters(it.text))
    ),
    "postcode-whole": lambda it: (
        it.field == "zip" and it.ours == (sha(digits(it.value)),) and len(digits(it.value)) == 8
    ),
    "postcode-none": lambda it: it.field == "zip" and not it.ours,
    "country-word": lambda it: (
        it.field == "country" and it.sdk.error is not None and it.ours[0] in TWO_LETTERS
    ),
}


def class_of(difference: Difference) -> str | None:
    return next((name for name, holds in CLASSES.items() if holds(difference)), None)


def _date(text: str) -> str:
    """YYYYMMDD of a date in parts."""
    parts = re.split(r"[-/.]", text)
    year_first = len(parts[0]) == 4
    return "".join(part.zfill(2) for part in (parts if year_first else reversed(parts)))
