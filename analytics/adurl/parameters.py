"""The parameters of an ad's URL, each against what Meta fills in and what a click keeps."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_plus

from analytics.adurl.finding import Finding
from analytics.adurl.macros import (
    META,
    decoded_braces,
    is_metas_form,
    literals,
    macros_in,
    metas,
    with_metas,
    without_macros,
)
from domain.ad_url import MAX_NAME, MAX_PARAMS, MAX_VALUE, is_ad_param

_START = frozenset({"start", "startapp", "startgroup"})
_NO_VALUE = frozenset({"none", "null", "undefined", "nan"})
# What a URL's query may not hold (RFC 3986), of ASCII; `[` and `]` are taken by everything. `{` and `}` are Meta's.
_UNSAFE = re.compile(r'["<>\\^`{|}]')
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TWICE = re.compile(r"%25(?=[0-9A-Fa-f]{2})")
_NUMBER = re.compile(r"\d{6,}")
_CAMPAIGN, _AD = "{{campaign.name}}|{{campaign.id}}", "{{ad.name}}|{{ad.id}}"
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Parameters:
    """Names and values in their order, as they are written."""

    pairs: tuple[Pair, ...]

    @classmethod
    def read(cls, query: str) -> "Parameters":
        """Those of a query without its `?`."""
        parts = (part.strip() for part in query.split("&"))
        return cls(tuple((name, value) for name, _, value in (part.partition("=") for part in parts if part)))

    def reviewed(self, *, clicked: bool) -> tuple[list[Finding], str]:
        """What is wrong with them, and how they should be written."""
        found = [*self._of_all(clicked=clicked)]
        mended: dict[str, Pair] = {}
        for name, value in self.pairs:
            found += _of_one(name, value, clicked=clicked)
            key = _key(name)
            if key not in mended and not _goes(key, clicked=clicked):
                mended[key] = (_name(name), _value(value, clicked=clicked))
        if not clicked:
            _complete(mended)
        return found, "&".join(f"{name}={value}" for name, value in mended.values())

    def _of_all(self, *, clicked: bool) -> Iterator[Finding]:
        yield from self._repeated()
        kept = {key for name, _ in self.pairs if is_ad_param(key := _key(name))}
        if len(kept) > MAX_PARAMS:
            yield _warning("too_many", count=str(len(kept)), limit=str(MAX_PARAMS))
        yield from self._missing(clicked=clicked)

    def _repeated(self) -> Iterator[Finding]:
        for name, times in Counter(_key(name) for name, _ in self.pairs).items():
            if times > 1:
                yield _error("twice", name=name, times=str(times))

    def _missing(self, *, clicked: bool) -> Iterator[Finding]:
        values = {_key(name): value for name, value in reversed(self.pairs)}
        campaign, ad = values.get("utm_campaign", ""), values.get("utm_content", "")
        if not campaign:
            yield _error("no_campaign", known=_CAMPAIGN)
        elif not _has_id(campaign + values.get("utm_id", ""), "{{campaign.id}}", clicked=clicked):
            yield _warning("no_campaign_id", known="{{campaign.id}}")
        if not ad:
            yield _warning("no_ad", known=_AD)
        elif not _has_id(ad, "{{ad.id}}", clicked=clicked):
            yield _warning("no_ad_id", known="|{{ad.id}}")


def _of_one(name: str, value: str, *, clicked: bool) -> Iterator[Finding]:
    key = _key(name)
    if key == "fbclid":
        if not clicked:
            yield _error("fbclid_in_template")
        return
    if key in _START:
        yield _error("start_in_template", name=key)
        return
    yield from _of_name(key)
    yield from _of_text(key, value)
    yield from _of_macros(key, value, clicked=clicked)
    yield from _of_spelling(name, key, value, clicked=clicked)


def _of_name(key: str) -> Iterator[Finding]:
    if key.startswith("utm_") and len(key) > MAX_NAME:
        yield _warning("name_too_long", name=key, limit=str(MAX_NAME))
    elif not is_ad_param(key):
        yield _warning("not_kept", name=key)


def _of_text(key: str, value: str) -> Iterator[Finding]:
    if not value:
        if key not in {"utm_campaign", "utm_content"}:  # said to be missing
            yield _warning("no_value", name=key)
    elif value.lower() in _NO_VALUE:
        yield _warning("placeholder", name=key, value=value)
    elif (length := len(unquote_plus(value))) > MAX_VALUE:
        yield _warning("too_long", name=key, length=str(length), limit=str(MAX_VALUE))


def _of_macros(key: str, value: str, *, clicked: bool) -> Iterator[Finding]:
    plain = decoded_braces(value)
    if plain != value and not clicked:
        yield _warning("macro_encoded", name=key)
    for macro in macros_in(plain):
        if is_metas_form(macro) and macro not in META:
            yield _error("macro_unknown", macro=macro, name=key, known=metas(macro) or " ".join(META))
        elif not is_metas_form(macro):
            yield _error("macro_foreign", macro=macro, name=key, known=metas(macro) or " ".join(META))
        elif clicked:
            yield _error("macro_unfilled", macro=macro, name=key)


def _of_spelling(name: str, key: str, value: str, *, clicked: bool) -> Iterator[Finding]:
    if re.search(r"\s", name + value):
        yield _error("space", where=key)
    # A bar alone between two macros is what Meta's own examples have, and what we give out.
    literal = "".join(text for text in literals(value) if text != "|")
    unsafe = "".join(sorted({*_UNSAFE.findall(literal)} - ({"|"} if clicked else set())))
    if unsafe:
        yield _warning("unencoded", name=key, characters=unsafe, encoded=quote(unsafe))
    if _BAD_PERCENT.search(literal):
        yield _warning("bad_percent", name=key)
    if _TWICE.search(literal):
        yield _warning("encoded_twice", name=key)


def _has_id(value: str, macro: str, *, clicked: bool) -> bool:
    return bool(_NUMBER.search(value)) or (not clicked and macro in with_metas(decoded_braces(value)))


def _goes(key: str, *, clicked: bool) -> bool:
    """True for what is not to be in it at all."""
    return key in _START or (key == "fbclid" and not clicked)


def _name(name: str) -> str:
    return re.sub(r"\s+", "", name)


def _value(value: str, *, clicked: bool) -> str:
    if value.lower() in _NO_VALUE:
        return ""
    if not clicked:
        value = with_metas(decoded_braces(value))
    return without_macros(
        re.sub(r"\s", " ", value), lambda text: text if text == "|" else _encoded(text, bar=not clicked)
    )


def _encoded(text: str, *, bar: bool) -> str:
    """Encoded where a URL may not hold it, and once only."""
    text = _TWICE.sub("%", text)
    text = _BAD_PERCENT.sub("%25", text)
    return _UNSAFE.sub(
        lambda found: found[0] if found[0] == "|" and not bar else quote(found[0]), text
    ).replace(" ", "%20")


def _complete(mended: dict[str, Pair]) -> None:
    """Campaign and ad put where they are missing; an id added where there is only a name."""
    campaign, ad = (mended.get(name, (name, ""))[1] for name in ("utm_campaign", "utm_content"))
    if not campaign:
        mended["utm_campaign"] = ("utm_campaign", _CAMPAIGN)
    elif not _has_id(campaign + mended.get("utm_id", ("", ""))[1], "{{campaign.id}}", clicked=False):
        mended["utm_id"] = ("utm_id", "{{campaign.id}}")
    if not ad:
        mended["utm_content"] = ("utm_content", _AD)
    elif not _has_id(ad, "{{ad.id}}", clicked=False):
        mended["utm_content"] = ("utm_content", f"{ad}|{{{{ad.id}}}}")


def _key(name: str) -> str:
    return unquote(name).strip().lower()


def _error(code: str, **values: str) -> Finding:
    return Finding(code=code, level="error", values=values)


def _warning(code: str, **values: str) -> Finding:
    return Finding(code=code, level="warning", values=values)
