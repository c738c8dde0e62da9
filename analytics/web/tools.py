"""Tools: what the dashboard is made of, handed to it by cli/dashboard.py."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analytics.finding import Finding
from analytics.live import Watch
from analytics.web.explains import Explains
from analytics.web.rights import Rights
from backends.sql.links import SqlCatalog
from backends.sql.reading import SqlReader
from backends.sql.users import SqlUsers
from domain.clock import Clock
from domain.conversions import LaneStatus
from privacy.keyring import Keyring
from runtime.settings import Settings

Note = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Adds a line to the audit: what was done, and what is to be known of it."""

ClientAddress = Callable[[str | None, Sequence[bytes]], str | None]
"""Somebody's address, of the peer and of X-Forwarded-For; None when it cannot be told."""


Lanes = Callable[[], Awaitable[list[LaneStatus]]]
"""How the lanes of the outbox are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Collaborators of the pages. What is None was not given to this dashboard."""

    settings: Settings
    clock: Clock
    reader: SqlReader
    catalog: SqlCatalog
    users: SqlUsers
    keyring: Keyring
    audit: Note
    client_address: ClientAddress
    lanes: Lanes
    watch: Watch | None = None
    doctor: Callable[[], Awaitable[Sequence[Finding]]] | None = None
    sql_versions: Callable[[], Awaitable[Mapping[str, str]]] | None = None
    rights: Rights | None = None
    explains: Explains | None = None
