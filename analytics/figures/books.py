"""The books of a period as the rollups see them: what was promised for its clicks, and how many SQL counts."""

from dataclasses import dataclass

from analytics.figures.asked import Figure, Reader, Rows, about_hours, about_minutes, answer
from analytics.period import Period
from analytics.shares import Share
from analytics.statements import statement
from backends.sql.reading import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Changes that are not in the rollups yet: they are added within seconds while `trilha work` runs."""

    clicks: int
    starts: int
    events: int

    @property
    def changes(self) -> int:
        """All of them."""
        return self.clicks + self.starts + self.events


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodBooks:
    """What was promised for the period's clicks (of all links), and what the rollups count of them.

    in_rollups: clicks that SQL has and the rollups count. to_fold: clicks that SQL has and the rollups do not count yet.
    waiting: changes of whatever time. What waits in spools is seen by `trilha accounting` only.
    """

    issued: int
    synced: int
    written: int
    token_only: int
    visible: int
    spooled: int
    in_rollups: int
    to_fold: int
    waiting: Waiting

    @property
    def promised(self) -> int:
        """Clicks that were acknowledged as stored."""
        return self.synced + self.written

    @property
    def capture(self) -> Share:
        """Acknowledged as stored, of all tokens given out."""
        return Share.of(self.promised, self.issued)

    @property
    def in_sql(self) -> int:
        """Clicks in SQL, counted yet or not."""
        return self.in_rollups + self.to_fold

    def faults(self, in_spools: int = 0) -> list[str]:
        """Every equation that does not hold, in words. in_spools: clicks of the period that wait there, if that is known."""
        found = []
        if self.issued != self.promised + self.token_only:
            found.append(
                f"issued {self.issued} != synced + written + token_only {self.promised + self.token_only}"
            )
        if self.promised > self.in_sql + in_spools:
            found.append(f"acknowledged {self.promised} > in SQL + in spools {self.in_sql + in_spools}")
        return found


async def books(reader: Reader, period: Period) -> PeriodBooks:
    """What was promised for the clicks of the period. Raises StoreUnavailable."""
    return await answer(reader, books_figure(period))


def books_figure(period: Period) -> Figure[PeriodBooks]:
    """As `books`, to be asked with others."""
    minutes = about_minutes(period)
    moments = {"since_moment": f"{period.since_ms:012x}", "until_moment": f"{period.until_ms:012x}"}
    asked = (
        Question(statement("books"), minutes),
        about_hours("hours", period, None),
        Question(statement("waiting_changes"), moments),
    )
    return Figure(asked, _books)


def _books(promised: Rows, hours: Rows, waiting: Rows) -> PeriodBooks:
    (row,), (left,) = promised, waiting
    return PeriodBooks(
        issued=row.issued or 0,
        synced=row.synced or 0,
        written=row.written or 0,
        token_only=row.token_only or 0,
        visible=row.visible or 0,
        spooled=row.spooled or 0,
        in_rollups=sum(hour.clicks for hour in hours),
        to_fold=left.new_clicks,
        waiting=Waiting(clicks=left.clicks, starts=left.starts, events=left.events),
    )
