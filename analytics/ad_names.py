"""What ads are called: Meta fills in `name|id`, where the id stays and the name may change."""

import re
from typing import Any, NamedTuple

LEVELS = ("campaign", "medium", "content", "term")
"""How deep a table of ads goes: campaign, ad set, ad, placement, by the names of the dictionary's columns."""
_WITH_ID = re.compile(r"(.*)\|\s*([0-9]{6,25})\s*", re.DOTALL)
_NAME, _ID, _KEY = "n:", "i:", "k:"


class Label(NamedTuple):
    """A campaign, ad set, ad or placement. `key` tells it from others of its level, also once it is renamed.

    name: as the newest that was met says; "" for none. id: Meta's, or of what no dictionary has: its ad key in hex.
    """

    key: str
    name: str
    id: str = ""

    @classmethod
    def of(cls, text: str) -> "Label":
        """What an ad has sent at that place."""
        found = _WITH_ID.fullmatch(text)
        if found:
            return cls(_ID + found[2], found[1].strip(), found[2])
        return cls(_NAME + text, text)

    @classmethod
    def unnamed(cls, ad_key: bytes) -> "Label":
        """Of an ad that the dictionary does not have (yet): known by its token only."""
        return cls(_KEY + ad_key.hex(), "", ad_key.hex())

    @property
    def in_dictionary(self) -> bool:
        """Whether there is anything below it."""
        return not self.key.startswith(_KEY)


def labels_of(row: Any) -> tuple[Label, ...]:
    """The labels of a row that was joined with the dictionary, one for each level; one alone when it is not in there."""
    if row.campaign is None:
        return (Label.unnamed(bytes(row.ad_key)),)
    return tuple(Label.of(getattr(row, level)) for level in LEVELS)
