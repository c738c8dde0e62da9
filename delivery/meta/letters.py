"""Texts and digests as Meta compares them: lower case, no spaces, no punctuation, SHA-256 in lower-case hex."""

import hashlib
import re
import unicodedata

MOST = 254
"""Characters of a value that is looked at; an e-mail address can have as many (RFC 5321). A longer one is not used."""
DIGEST = re.compile(r"[0-9a-f]{64}")
_ANY_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
DIGEST_OF_NOTHING = hashlib.sha256(b"").hexdigest()


def digest(text: str) -> str:
    """SHA-256 of a normalised text, which is not empty and has no lone surrogates."""
    return hashlib.sha256(text.encode()).hexdigest()


def given_digest(text: str) -> str | None:
    """The digest that a value is already, in lower case; None for any other text, and for the digest of nothing."""
    found = text.lower() if _ANY_DIGEST.fullmatch(text) else None
    return None if found == DIGEST_OF_NOTHING else found


def letters(text: str) -> str:
    """Only the letters, lower case, accents kept (NFC). Signs of other scripts that stand on letters are part of them."""
    composed = unicodedata.normalize("NFKC", text).lower()
    return unicodedata.normalize("NFC", "".join(filter(_is_letter, composed)))


def plain_letters(text: str) -> str:
    """The letters without accents; those that no accent explains (ß, я) stay."""
    parts = unicodedata.normalize("NFKD", letters(text))
    return unicodedata.normalize("NFC", "".join(char for char in parts if not _is_latin_accent(char)))


def _is_letter(char: str) -> bool:
    return char.isalpha() or unicodedata.category(char) in {"Mn", "Mc"}


def _is_latin_accent(char: str) -> bool:
    return "\u0300" <= char <= "\u036f"
