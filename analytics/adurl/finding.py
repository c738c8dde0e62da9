"""Finding: one thing that is wrong with an ad's URL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from analytics.adurl.words import WORDS

# error: clicks are lost, or said to be of another ad. warning: it works, and will not do what it was written for.
Level = Literal["error", "warning"]
Language = Literal["en", "pt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`code` never changes; `values` are what the words speak of."""

    code: str
    level: Level
    values: Mapping[str, str] = field(default_factory=dict[str, str])

    def says(self, language: Language = "en") -> str:
        """What is wrong, in a sentence."""
        return WORDS[self.code][language][0].format_map(self.values)

    def mend(self, language: Language = "en") -> str:
        """What to do, in a sentence."""
        return WORDS[self.code][language][1].format_map(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found, the worst first, and the URL (or the parameters) as it should be."""

    findings: tuple[Finding, ...]
    mended: str

    @property
    def sound(self) -> bool:
        """True when nothing found is an error."""
        return all(finding.level != "error" for finding in self.findings)
