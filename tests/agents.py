"""The labelled user agents, and how well they are told apart. `python -m tests.agents` prints the table."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from is_bot import Bots

from daemon.enrich.agent import Agents
from daemon.enrich.traffic import classify
from domain.enrichment import TrafficClass

SET = Path(__file__).parent / "data" / "user_agents.tsv"
PROGRAMS = frozenset({"crawler", "preview", "tool"})
# What a list of words does that was copied from a list of crawlers: it has blocked paid visitors.
WORDS = (
    "bot",
    "crawl",
    "spider",
    "facebook",
    "fb_iab",
    "whatsapp",
    "bytedance",
    "curl",
    "python",
    "headless",
)


class Line(NamedTuple):
    """One labelled agent. `-` stands where nothing certain can be expected."""

    part: str
    label: TrafficClass
    family: str
    app: str
    os: str
    browser: str
    device: str
    source: str
    agent: str


class Score(NamedTuple):
    """Of the programs, how many were seen as such; of the people, how many were taken for one."""

    programs: int
    seen: int
    people: int
    flagged: int

    @property
    def recall(self) -> float:
        return self.seen / self.programs

    @property
    def human_precision(self) -> float:
        """Of those that were taken for people, how many are."""
        taken = self.people - self.flagged + self.programs - self.seen
        return (self.people - self.flagged) / taken


def labelled() -> list[Line]:
    with SET.open(newline="") as lines:
        rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return [Line(*row) for row in rows]  # type: ignore[arg-type]


def kind_of(agents: Agents, user_agent: str) -> TrafficClass:
    """The class of a plain GET with this agent, from a visitor's network."""
    return classify(
        method="GET",
        prefetch="",
        agent=agents.of(user_agent),
        user_agent_given=bool(user_agent),
        asn=None,
        hosting=frozenset(),
    ).kind


def score(is_program: Callable[[str], bool], lines: list[Line]) -> Score:
    programs = [line.agent for line in lines if line.label in PROGRAMS]
    people = [line.agent for line in lines if line.label not in PROGRAMS]
    return Score(len(programs), sum(map(is_program, programs)), len(people), sum(map(is_program, people)))


def has_a_word(user_agent: str) -> bool:
    return any(word in user_agent.lower() for word in WORDS)


def microseconds(read: Callable[[str], object], lines: list[Line]) -> float:
    """For one agent, as the least mean of seven rounds over all."""
    rounds = []
    for _ in range(7):
        start = perf_counter()
        for line in lines:
            read(line.agent)
        rounds.append(perf_counter() - start)
    return min(rounds) / len(lines) * 1e6


def main() -> None:
    lines, agents, bots = labelled(), Agents(), Bots()
    ways: dict[str, Callable[[str], bool]] = {
        "a list of words": has_a_word,
        "is-bot alone": bots.is_bot,
        "Trilha": lambda agent: agents.of(agent).automation is not None,
    }
    for part in ("first", "held-out"):
        for name, way in ways.items():
            s = score(way, [line for line in lines if line.part == part])
            print(
                f"{part:9} {name:16} programs seen {s.seen}/{s.programs} ({s.recall:.4f})"
                f"  people flagged {s.flagged}/{s.people}  human precision {s.human_precision:.4f}"
            )
    for name, kept in (
        ("all", lines),
        *(
            (label, [x for x in lines if x.label == label])
            for label in ("in_app", "human", "crawler", "tool")
        ),
    ):
        print(
            f"µs, {name:8} uncached {microseconds(agents._read, kept):6.1f}  is-bot alone {microseconds(bots.is_bot, kept):6.1f}"
        )
    print(f"µs, cached {microseconds(agents.of, lines):.2f}")


if __name__ == "__main__":
    main()
