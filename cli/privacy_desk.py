"""The dashboard's page of privacy over the same use cases as `trilha privacy`."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from analytics.web.rights import DueItem, ErasedNow
from backends.sql.erasure import AuditLine
from cli.common import CLOCK
from cli.hands import Hands
from daemon.erasure import ErasureReport
from daemon.retention import Due
from domain.people import Held

COUNTED = ("clicks", "starts", "conversions", "bot_users")


class PrivacyDesk:
    """Fulfils analytics/web/rights.py."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    async def export(self, telegram_id: int) -> Mapping[str, Any]:
        return await export_noted(self._hands, telegram_id)

    async def held(self, telegram_id: int) -> Held:
        return await self._hands.subject().held(telegram_id)

    async def erase(self, telegram_id: int) -> ErasedNow:
        report = await self._hands.erasure().erase(telegram_id)
        return ErasedNow(
            audit_id=report.erased.audit_id,
            at_ms=report.at_ms,
            counts=erased_counts(report),
            left=still_to_do(report),
            nothing=report.nothing,
        )

    async def due(self) -> Sequence[DueItem]:
        due = await self._hands.retention().due()
        waiting = {field.name: getattr(due, field.name) for field in fields(Due)}
        return [
            DueItem(name=name, rows=found.rows, oldest_ms=found.oldest_ms) for name, found in waiting.items()
        ]

    async def audit(self, limit: int) -> Sequence[AuditLine]:
        return (await self._hands.erasures.audit(limit=limit))[::-1]


async def export_noted(hands: Hands, telegram_id: int) -> dict[str, Any]:
    """Everything of a person, noted in the audit in counts. Without SQL there is no audit either."""
    found = await hands.subject().export(telegram_id)
    if "sql" not in found["incomplete"]:
        counts = {name: len(found[name]) for name in COUNTED}
        await hands.erasures.note("export", counts, CLOCK.now_ms())
    return found


def erased_counts(report: ErasureReport) -> dict[str, int]:
    """What was erased, by kind."""
    erased = report.erased
    return {
        "clicks": erased.clicks,
        "starts": erased.starts,
        "conversions": erased.conversions,
        "bot_users": erased.bot_users,
        "waiting_starts": report.pending,
        "waiting_conversions": report.conversions,
    }


def still_to_do(report: ErasureReport) -> dict[str, int]:
    """Clicks by store; a spool that could not be asked is there with 0 known, SQL with 1 while its files are to be scrubbed."""
    return report.left if report.spools_read else {"spool": 0} | report.left
