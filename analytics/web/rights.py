"""What the page of privacy asks of the stores beyond SQL's figures: a port, filled by cli/privacy_desk.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from backends.sql.erasure import AuditLine
from domain.people import Held


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedNow:
    """What an erasure did: counts by kind, what is left to discard by store (empty: finished), and its line in the audit."""

    audit_id: int
    at_ms: int
    counts: Mapping[str, int]
    left: Mapping[str, int]
    nothing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DueItem:
    """What waits for the next pass of retention: a name of daemon.retention.Due, its rows, and the time of the oldest."""

    name: str
    rows: int
    oldest_ms: int | None


class Rights(Protocol):
    """A data subject's rights, and what retention has to do. All raise StoreUnavailable without SQL."""

    async def export(self, telegram_id: int) -> Mapping[str, Any]:
        """The object of `trilha privacy export`, with counts in the audit; `incomplete` names stores that could not be asked."""
        ...

    async def held(self, telegram_id: int) -> Held:
        """How much there is."""
        ...

    async def erase(self, telegram_id: int) -> ErasedNow:
        """Erase, or go on with an erasure."""
        ...

    async def due(self) -> Sequence[DueItem]:
        """What retention is to end."""
        ...

    async def audit(self, limit: int) -> Sequence[AuditLine]:
        """The newest lines, newest first."""
        ...
