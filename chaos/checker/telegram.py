"""Who pressed START at Telegram against who owns a click and who was answered. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from chaos.checker.check import Finding
from chaos.checker.held import Held
from chaos.checker.tokens import read


@dataclass(slots=True, kw_only=True)
class TelegramFindings:
    """What is broken. All are 0 when the bot keeps its promises.

    lost: somebody pressed START with a token of their own, and the click is not theirs. twice: somebody who pressed once
    was answered more than once. unanswered: not at all. strangers: answered, and never pressed.
    """

    lost: Finding = field(default_factory=Finding)
    twice: Finding = field(default_factory=Finding)
    unanswered: Finding = field(default_factory=Finding)
    strangers: Finding = field(default_factory=Finding)


def check_telegram(
    held: Held, pressed: Collection[tuple[int, str]], sent: Iterable[int], *, erased: Collection[str] = ()
) -> TelegramFindings:
    """Compare. pressed: each person once, with their token. sent: whom the bot wrote to, once for each message."""
    findings = TelegramFindings()
    answers = Counter(sent)
    for person, token in pressed:
        click = read(token).click
        row = held.clicks.get(click)
        if click not in erased and (row is None or row.owner is None or row.owner[1] != person):
            findings.lost.add(f"click {click}: {_whose(row.owner if row else None)}")
        if answers[person] > 1:
            findings.twice.add(f"a person was answered {answers[person]} times")
        if answers[person] == 0:
            findings.unanswered.add(f"click {click}: its person was not answered")
    for _ in answers.keys() - {person for person, _ in pressed}:
        findings.strangers.add("somebody was answered who has not pressed START")
    return findings


def _whose(owner: tuple[int, int] | None) -> str:
    return "nobody's" if owner is None else "another person's"
