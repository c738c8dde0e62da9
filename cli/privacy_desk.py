"""The dashboard's page of privacy over the same use cases as `trilha privacy`."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from analytics.web.rights import DueItem, ErasedNow
from backends.sql.engine import Engine
from backends.sql.erasure import AuditLine
from cli.common import CLOCK
from cli.hands import Hands, hands_of
from daemon.erasure import ErasureReport
from daemon.retention import Due
from domain.people import Held
from privacy.keyring import Keyring
from runtime.settings import Settings

COUNTED = ("clicks", "starts", "conversions", "bot_users")


class PrivacyDesk:
    """Fulfils analytics/web/rights.py. Stores beside the dashboard's SQL are opened for each deed: they are few."""

    def __init__(self, given: Settings, engine: Engine, keyring: Keyring) -> None:
        self._given = given
        self._reads = Hands.over(given, engine, None, keyring)

    async def export(self, telegram_id: int) -> Mapping[str, Any]:
        async with hands_of(self._given) as hands:
            return await export_noted(hands, telegram_id)

    async def held(self, telegram_id: int) -> Held:
        async with hands_of(self._given) as hands:
            return await hands.subject().held(telegram_id)

    async def erase(self, telegram_id: int) -> ErasedNow:
        async with hands_of(self._given) as hands:
            report = await hands.erasure().erase(telegram_id)
        return ErasedNow(
            audit_id=report.erased.audit_id,
            at_ms=report.at_ms,
            counts=erased_counts(report),
            left=still_to_do(report),
            nothing=report.nothing,
        )

    async def due(self) -> Sequence[DueItem]:
        due = await self._reads.retention().due()
        waiting = {field.name: getattr(due, field.name) for field in fields(Due)}
        return [
            DueItem(name=name, rows=found.rows, oldest_ms=found.oldest_ms) for name, found in waiting.items()
        ]

    async def audit(self, limit: int) -> Sequence[AuditLine]:
        return (await self._reads.erasures.audit(limit=limit))[::-1]


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
