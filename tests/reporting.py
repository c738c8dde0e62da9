"""A report as the command reads it, of tables that clicks, starts and sales were written into."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.period import Period
from analytics.report.reading import ReportRequest, read_report
from analytics.report.report import Report
from analytics.tally import Tally
from backends.sql.reading import SqlReader
from backends.sql.rollups import SqlRollups

SAO_PAULO = ZoneInfo("America/Sao_Paulo")


async def fold_all(engine: AsyncEngine, zone: ZoneInfo = SAO_PAULO) -> None:
    """What the worker does every few seconds, until nothing waits."""
    rollups = SqlRollups(engine, zone.key, Tally)
    while await rollups.fold(1000):
        pass


async def report_of(
    engine: AsyncEngine, now_ms: int, period: str = "7d", zone: ZoneInfo = SAO_PAULO, **more: Any
) -> Report:
    """Of the days up to that moment."""
    request = ReportRequest(period=Period.of(period, now_ms, zone), now_ms=now_ms, **more)
    return await read_report(SqlReader(engine), request, advised)


def advised(lane: str, state: str, reason: str) -> str:
    return f"mend {reason}"
