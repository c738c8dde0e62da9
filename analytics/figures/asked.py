"""A figure is a few questions to SQL and what is made of their rows, so that any number of figures are of one moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from analytics.period import Period
from analytics.statements import statement
from backends.sql.reading import Question
from domain.rollups import MINUTE_MS

T = TypeVar("T")
Rows = Sequence[Any]
ANY_LINK = (-(2**31), 2**31 - 1)


class Reader(Protocol):
    """Answers questions, all as of one moment (backends/sql/reading.py)."""

    async def ask(self, *questions: Question) -> list[Rows]: ...


@dataclass(frozen=True, slots=True)
class Figure(Generic[T]):
    """What is asked, and what the rows of each question become."""

    questions: tuple[Question, ...]
    made: Callable[..., T]


async def answer(reader: Reader, figure: Figure[T]) -> T:
    """That figure. Raises StoreUnavailable."""
    return figure.made(*await reader.ask(*figure.questions))


async def answers(reader: Reader, *figures: Figure[Any]) -> list[Any]:
    """Those figures, all of one moment. Raises StoreUnavailable."""
    rows = iter(await reader.ask(*(each for figure in figures for each in figure.questions)))
    return [figure.made(*(next(rows) for _ in figure.questions)) for figure in figures]


def about(name: str, period: Period, link_id: int | None, **more: Any) -> Question:
    """The statement of that name for the days of the period, of one link or of all."""
    low, high = ANY_LINK if link_id is None else (link_id, link_id)
    days = {"first": period.first_day, "last": period.last_day}
    return Question(statement(name), {**days, "low": low, "high": high, **more})


def about_hours(name: str, period: Period, link_id: int | None, **more: Any) -> Question:
    """As `about`, in minutes since the epoch: from `since` to before `until`."""
    low, high = ANY_LINK if link_id is None else (link_id, link_id)
    minutes = about_minutes(period)
    return Question(statement(name), {**minutes, "low": low, "high": high, **more})


def about_minutes(period: Period) -> dict[str, int]:
    """The minutes of the period: from `since` to before `until`."""
    return {"since": period.since_ms // MINUTE_MS, "until": period.until_ms // MINUTE_MS}
