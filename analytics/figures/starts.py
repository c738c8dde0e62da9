"""Starts by what they were: with a click of ours, with one that somebody else owns, or without any (`direct`)."""

from dataclasses import dataclass

from analytics.figures.asked import Figure, Reader, Rows, answer
from analytics.period import Period
from analytics.statements import statement
from backends.sql.reading import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class StartsOfKind:
    """Starts of one bot and kind, by their own moment. `bot` is its username, None for one that is not known (any more)."""

    bot_id: int
    bot: str | None
    kind: str
    starts: int


async def starts_by_kind(reader: Reader, period: Period) -> tuple[StartsOfKind, ...]:
    """Starts by bot and kind: attributed, taken, direct. Direct ones have no link, so there is none to ask about.

    Raises StoreUnavailable.
    """
    return await answer(reader, starts_by_kind_figure(period))


def starts_by_kind_figure(period: Period) -> Figure[tuple[StartsOfKind, ...]]:
    """As `starts_by_kind`, to be asked with others."""

    def made(rows: Rows) -> tuple[StartsOfKind, ...]:
        return tuple(
            StartsOfKind(bot_id=row.bot_id, bot=row.username, kind=row.kind, starts=row.starts)
            for row in rows
            if row.starts
        )

    days = {"first": period.first_day, "last": period.last_day}
    return Figure((Question(statement("starts_by_kind"), days),), made)
