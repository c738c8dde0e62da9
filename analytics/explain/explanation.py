"""Explanation: what is told, in the reader's language. A page renders it, the command prints it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from domain.clock import iso

Verdict = Literal["done", "waiting", "not", "wrong"]
"""done: it happened. waiting: it comes by itself. not: it did not happen, and nothing is broken. wrong: something is to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing on the way, or one that did not happen. kind is stable and English; the texts are the reader's.

    after_ms: how long after what it follows from: a start from its click, a conversion from the start, a delivery from its
    conversion; None where that is not in the story, or did not come before.
    """

    kind: str
    title: str
    verdict: Verdict
    at_ms: int | None = None
    after_ms: int | None = None
    detail: tuple[str, ...] = ()
    advice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Steps that belong together, in the order of the way: one click, one person, one order in one bot."""

    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The whole answer. headline: the verdict in a sentence; advice: what to do about that.

    known: anything was found. certain: every store that may know more could be asked. notes: what is left out, and why.
    """

    asked_at_ms: int
    language: str
    timezone: str
    verdict: Verdict
    headline: str
    advice: str | None
    known: bool
    certain: bool
    stories: tuple[Story, ...] = ()
    notes: tuple[str, ...] = ()

    def steps(self) -> Iterator[Step]:
        """Of all stories."""
        return (step for story in self.stories for step in story.steps)


def explanation_json(told: Explanation) -> dict[str, Any]:
    """The object of the API and of `trilha explain --json`."""
    return {
        "asked_at": iso(told.asked_at_ms),
        "language": told.language,
        "timezone": told.timezone,
        "verdict": told.verdict,
        "headline": told.headline,
        "advice": told.advice,
        "known": told.known,
        "certain": told.certain,
        "stories": [
            {"title": story.title, "steps": [_step_json(step) for step in story.steps]}
            for story in told.stories
        ],
        "notes": list(told.notes),
    }


def _step_json(step: Step) -> dict[str, Any]:
    values = asdict(step)
    at_ms = values.pop("at_ms")
    return {"at": None if at_ms is None else iso(at_ms), **values, "detail": list(step.detail)}
