"""What has to be known of a report before its figures are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from analytics.report.places import NO_GEOIP
from analytics.report.report import Report
from analytics.report.tables import still_counted


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence. `warns`: the figures are not what they should be."""

    text: str
    warns: bool = False


def notes(report: Report) -> Iterator[Note]:
    """When it was made and by which clock; what is wrong with the figures, and what only looks so."""
    zone = report.period.zone
    made = datetime.fromtimestamp(report.made_at_ms / 1000, zone)
    yield Note(f"Made at {made:%Y-%m-%d %H:%M:%S}. All times and days are those of {zone.key}.")
    if report.rolled_zone is None and not report.books.waiting.changes and report.books.issued:
        yield Note("Nothing is counted yet: trilha work counts clicks and sales while it runs.", warns=True)
    if report.rolled_zone not in {None, zone.key}:
        yield Note(
            f"Days were cut by {report.rolled_zone}, not {zone.key}: trilha work counts them anew when it starts.",
            warns=True,
        )
    if report.books.waiting.changes:
        yield Note(still_counted(report), warns=True)
    if report.faults:
        yield Note("THE BOOKS DO NOT BALANCE: " + "; ".join(report.faults), warns=True)
    if any(listed.advice for listed in report.traits):
        yield Note(NO_GEOIP, warns=True)
    if direct := report.started("direct"):
        yield Note(
            f"{direct:,} starts were direct: people opened a bot without an ad. No click of theirs is missing."
        )
