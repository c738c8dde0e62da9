"""The retention table (privacy/retention.py) as the page of privacy shows it."""

from dataclasses import dataclass

from analytics.web.texts import Language
from privacy.retention import TABLE
from privacy.retention_page import STORES, cells, said
from privacy.retention_page import Language as Spoken
from runtime.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept in one store: lines of data, kind, kept for, ended by, purpose, legal basis."""

    store: str
    lines: list[list[str]]


def calendar(settings: Settings, language: Language) -> list[Kept]:
    """Every store, with the spans in force."""
    spoken: Spoken = "pt-BR" if language == "pt" else "en"
    return [
        Kept(
            store=said(title, spoken),
            lines=[cells(row, settings, spoken)[:-1] for row in TABLE if row.store == store],
        )
        for store, title in STORES.items()
    ]
