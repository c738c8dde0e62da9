"""A trait as a short list: its most frequent values, all others in one line, and what is not known by name."""

from dataclasses import dataclass

from analytics.figures.clicks import NOT_KNOWN, Counts, Trait, TraitName

TOP = 10
NO_GEOIP = "No place is known of any of these clicks: most likely there is no GeoIP database. Get one: trilha geoip fetch"
PLACES: frozenset[TraitName] = frozenset({"country", "region", "city"})
TITLES: dict[TraitName, str] = {
    "class": "Traffic classes",
    "device": "Devices",
    "os": "Operating systems",
    "browser": "Browsers",
    "app": "In-app browsers",
    "country": "Countries",
    "region": "States",
    "city": "Cities",
    "bot_score": "Bot score",
    "fraud_score": "Fraud score",
}
SCORES: frozenset[TraitName] = frozenset({"bot_score", "fraud_score"})
ABSENT: dict[TraitName, str] = {"app": "in no app's browser", "class": "not classed yet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The values of one trait. `other` sums those beyond the top, `others` says how many; `unknown` is named apart.

    `advice` says what to do when nothing is known at all.
    """

    trait: TraitName
    top: tuple[Trait, ...]
    other: Counts
    others: int
    unknown: Counts
    advice: str | None

    @property
    def clicks(self) -> int:
        """All clicks that the list is of."""
        return sum(each.counts.clicks for each in self.top) + self.other.clicks + self.unknown.clicks


def listed(name: TraitName, found: tuple[Trait, ...], top: int = TOP) -> Listed:
    """The list of that trait. Scores are shown whole and in their own order."""
    known = [each for each in found if each.value != NOT_KNOWN]
    unknown = sum((each.counts for each in found if each.value == NOT_KNOWN), Counts())
    if name in SCORES:
        known, top = sorted(known, key=lambda each: int(each.value)), len(known)
    rest = known[top:]
    return Listed(
        trait=name,
        top=tuple(known[:top]),
        other=sum((each.counts for each in rest), Counts()),
        others=len(rest),
        unknown=unknown,
        advice=NO_GEOIP if name in PLACES and not known and unknown.clicks else None,
    )


def value_name(name: TraitName, value: str) -> str:
    """A value in words: a score's ten is written as the range that it is."""
    if value == NOT_KNOWN:
        return ABSENT.get(name, "not known")
    if name in SCORES:
        begin = int(value)
        return value if begin >= 100 else f"{begin} - {begin + 9}"
    return value
