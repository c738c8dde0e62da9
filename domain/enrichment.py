"""What is added to a click when it is settled: where it came from, with what, what kind of traffic it is, and scores.

None of it changes the visitor's answer. Everything is derived from the original while that can be opened; afterwards
what was derived is all there is.
"""

from typing import Literal, NamedTuple

TrafficClass = Literal[
    "human", "in_app", "prefetch", "preview", "crawler", "tool", "datacenter", "head", "unknown"
]
TRAFFIC_CLASSES: tuple[TrafficClass, ...] = (
    "human",
    "in_app",
    "prefetch",
    "preview",
    "crawler",
    "tool",
    "datacenter",
    "head",
    "unknown",
)
Device = Literal["phone", "tablet", "desktop", "tv", "other", "unknown"]
Automation = Literal["crawler", "preview", "tool"]
# Evidence that is read again once the original is gone.
NO_USER_AGENT = "no user agent"
USER_AGENT_GONE = "user agent not kept"


class Geo(NamedTuple):
    """Where an address is, as a database says. None where it does not say; never a guess.

    `country` is ISO 3166-1 alpha-2, `region` in Brazil the UF (SP, RJ …) and elsewhere the name of the subdivision.
    `source` names the database and its build date. `asn` is the number of the network's operator.
    """

    country: str | None = None
    region: str | None = None
    city: str | None = None
    asn: int | None = None
    source: str | None = None


class Agent(NamedTuple):
    """What a user agent says of itself. Versions are major versions only: more would help nobody but a tracker.

    `app` is the app in whose own browser the visitor is (Instagram, Facebook …), None outside one.
    `automation` says what kind of program it is when it says so itself, and `robot` its name.
    """

    device: Device = "unknown"
    os: str | None = None
    os_version: str | None = None
    browser: str | None = None
    browser_version: str | None = None
    app: str | None = None
    automation: Automation | None = None
    robot: str | None = None


class Traffic(NamedTuple):
    """What kind of visit it was, and what that was read from.

    `tentative`: a prefetch or HEAD that a person may stand behind; it is promoted when its token is redeemed.
    """

    kind: TrafficClass = "unknown"
    evidence: tuple[str, ...] = ()
    tentative: bool = False


class Reason(NamedTuple):
    """One signal that counted: its name, its weight in points, and what was seen."""

    signal: str
    weight: int
    evidence: str


class Score(NamedTuple):
    """0 to 100 points, and why."""

    points: int = 0
    reasons: tuple[Reason, ...] = ()


class Scores(NamedTuple):
    """Trilha's own two scores, and beside them the two of the owner's first formulas, kept to compare with."""

    bot: Score = Score()
    fraud: Score = Score()
    baseline_bot: int = 0
    baseline_fraud: int = 0


class Enrichment(NamedTuple):
    """All of it, for one click.

    `repeats`: clicks of the same visitor on the same link in the same minute, itself included; 0 when not counted.
    """

    geo: Geo = Geo()
    agent: Agent = Agent()
    traffic: Traffic = Traffic()
    scores: Scores = Scores()
    repeats: int = 0
