"""The rules of what stands out: what each means to the operator, and where to look."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RuleName = Literal[
    "books",
    "token_only",
    "clicks_stopped",
    "clicks_fell",
    "clicks_rose",
    "match_fell",
    "undelivered_rose",
    "waiting_long",
    "machines_rose",
    "place_rose",
    "suspects_rose",
    "taken_rose",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Its title, why it matters, and what to look at."""

    title: str
    why: str
    look: str


RULES: Mapping[RuleName, Rule] = {
    "books": Rule(
        title="the books do not balance",
        why="a click that was acknowledged as stored cannot be found",
        look="trilha accounting; trilha doctor",
    ),
    "token_only": Rule(
        title="clicks known by their token only",
        why="no store took them: their starts are attributed, but Meta gets less about them",
        look="trilha doctor: disk, quota of the spool, SQL at that time",
    ),
    "clicks_stopped": Rule(
        title="clicks have stopped",
        why="an ad that is paid for may lead nowhere",
        look="whether the ads run; the link in a browser; trilha link list; trilha doctor",
    ),
    "clicks_fell": Rule(
        title="fewer clicks than usual",
        why="less is spent, or an ad was refused or leads elsewhere",
        look="the ads' delivery at Meta; the URL in each ad",
    ),
    "clicks_rose": Rule(
        title="more clicks than usual",
        why="a good ad, or machines",
        look="traffic classes and bot score of the day; the ads' own count of clicks",
    ),
    "match_fell": Rule(
        title="fewer of the clicks are started",
        why="people come and do not press START: every sale that they would have made is lost",
        look="the link in a phone; whether the bot answers: trilha bot-account list; traffic classes of the day",
    ),
    "undelivered_rose": Rule(
        title="more events are not delivered",
        why="Meta learns nothing of sales that it is not told of, and optimises for the wrong people",
        look="trilha outbox dead-letters; trilha pixel status",
    ),
    "waiting_long": Rule(
        title="events wait for more than a day",
        why="after 7 days Meta takes them no more",
        look="trilha doctor; trilha outbox list --state pending",
    ),
    "machines_rose": Rule(
        title="a larger share of clicks is by machines",
        why="money may be spent on clicks that nobody made",
        look="the ads and places that they came by; trilha click show of some",
    ),
    "place_rose": Rule(
        title="a place has suddenly become common",
        why="real interest is rarely so local: a data centre, a click farm, or an ad's audience was changed",
        look="the audience of the ads; traffic classes and bot score of the day",
    ),
    "suspects_rose": Rule(
        title="a larger share of clicks has a high score",
        why="clicks that look made up, or the same visitor over and over",
        look="docs/reference/scores.md; trilha click show of some",
    ),
    "taken_rose": Rule(
        title="more tokens are used a second time",
        why="people share deep links, or somebody replays them: those starts are nobody's of ours",
        look="which bot; where the link is shared",
    ),
}
