"""Macros: what an ad network writes into a URL when it shows the ad."""

import re
from collections.abc import Callable, Iterator, Mapping

# https://www.facebook.com/business/help/2360940870872492: dynamic URL parameters.
META = (
    "{{campaign.id}}",
    "{{adset.id}}",
    "{{ad.id}}",
    "{{campaign.name}}",
    "{{adset.name}}",
    "{{ad.name}}",
    "{{placement}}",
    "{{site_source_name}}",
)
# {{…}} of Meta, {…} of Google and Taboola, ${…}, __…__ of TikTok and Kwai, %%…%% of Google's ad server, [[…]].
_ANY = re.compile(
    r"\{\{[^{}]{0,60}\}\}?|\$?\{[^{}]{1,60}\}|__[A-Z][A-Z0-9_]{1,60}?__|%%[A-Za-z][^%]{0,60}%%|\[\[[^\[\]]{1,60}\]\]"
)
_ENCODED = re.compile(r"(?i)%7b%7b(.{1,60}?)%7d%7d")
_LETTERS = re.compile(r"[^a-z]")
# By their letters alone. TikTok calls an ad group AID and an ad CID.
_SAME: Mapping[str, str] = {
    "campaignid": "{{campaign.id}}",
    "utmcampaignid": "{{campaign.id}}",
    "campaign": "{{campaign.name}}",
    "campaignname": "{{campaign.name}}",
    "adsetid": "{{adset.id}}",
    "adgroupid": "{{adset.id}}",
    "aid": "{{adset.id}}",
    "adset": "{{adset.name}}",
    "adsetname": "{{adset.name}}",
    "adgroupname": "{{adset.name}}",
    "aidname": "{{adset.name}}",
    "adid": "{{ad.id}}",
    "creative": "{{ad.id}}",
    "creativeid": "{{ad.id}}",
    "cid": "{{ad.id}}",
    "ad": "{{ad.name}}",
    "adname": "{{ad.name}}",
    "cidname": "{{ad.name}}",
    "placement": "{{placement}}",
    "sitesourcename": "{{site_source_name}}",
    "sitesource": "{{site_source_name}}",
}


def macros_in(text: str) -> Iterator[str]:
    """Everything in it that looks like a macro of some network, as it is written."""
    return (found[0] for found in _ANY.finditer(text))


def is_metas_form(macro: str) -> bool:
    """True when it was meant for Meta: two braces, at least at its beginning."""
    return macro.startswith("{{")


def metas(macro: str) -> str | None:
    """Meta's macro for the same thing, if there is one."""
    return _SAME.get(_LETTERS.sub("", macro.lower()))


def with_metas(text: str) -> str:
    """The text with every macro whose equal Meta has in Meta's spelling."""
    return _ANY.sub(lambda found: metas(found[0]) or found[0], text)


def without_macros(text: str, put: Callable[[str], str]) -> str:
    """What `put` makes of the text between the macros, with the macros as they were."""
    between = map(put, literals(text))
    return next(between) + "".join(macro + rest for macro, rest in zip(macros_in(text), between, strict=True))


def literals(text: str) -> list[str]:
    """What stands before, between and after the macros; always one more than there are macros."""
    return _ANY.split(text)


def decoded_braces(text: str) -> str:
    """The text with percent-encoded double braces as braces."""
    return _ENCODED.sub(r"{{\1}}", text)
