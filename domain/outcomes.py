"""Answers of stores, as values: a store that is down never looks like a store that is empty."""

from dataclasses import dataclass
from enum import StrEnum

from domain.attribution import Owner
from domain.click import Click
from domain.enrichment import Enrichment


@dataclass(frozen=True, slots=True)
class Found:
    """The store has the click."""

    click: Click


@dataclass(frozen=True, slots=True)
class Missing:
    """The store was asked and does not have it."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The store could not be asked: try again. Never to be read as "no click"."""


Lookup = Found | Missing | Unknown
MISSING = Missing()
UNKNOWN = Unknown()


class Durability(StrEnum):
    """What a click outlives.

    synced: kill -9 of every process, loss of Redis, loss of un-fsynced pages.
    written: kill -9 of every process and loss of Redis.
    token_only: nothing but the token in the visitor's hand is promised; never called stored.
    """

    SYNCED = "synced"
    WRITTEN = "written"
    TOKEN_ONLY = "token_only"  # noqa: S105  a label, not a password

    @property
    def acknowledged(self) -> bool:
        """True when losing the click afterwards would be a broken promise."""
        return self is not Durability.TOKEN_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was promised for a click, given only once it holds (I11). `visible`: Redis has it for a quick look-up."""

    durability: Durability
    visible: bool


NOTHING_PROMISED = Receipt(durability=Durability.TOKEN_ONLY, visible=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """The two facts of one click as the ledger holds them, and what was added. Each may still be absent."""

    click: Click | None
    owner: Owner | None
    started_at_ms: int | None
    link_id: int
    ad_key: bytes
    spooled: bool
    enrichment: Enrichment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the stores say around one click, for its scores; 0 where nothing was counted.

    started: whether anybody redeemed its token; None while that may still come. repeats: clicks of its visitor on its link in its minute, itself included. token_users: people who pressed START with
    its token. fbclid_visitors: visitors that came with its fbclid, at most 500. visitor_users: people who started from its
    visitor's address in the minute before its own start.
    """

    started: bool | None = None
    started_at_ms: int | None = None
    repeats: int = 0
    token_users: int = 0
    fbclid_visitors: int = 0
    visitor_users: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorable:
    """A click in SQL that can be scored, again or for the first time."""

    click: Click
    counts: Counts
    kept: Enrichment | None
