"""What some rollups must hold, counted from rows of the base tables in the plainest way, without the product's tally."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]


def local(at_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)


def day(at_ms: int, zone: ZoneInfo) -> int:
    return int(local(at_ms, zone).strftime("%Y%m%d"))


def hour(at_ms: int, zone: ZoneInfo) -> int:
    begin = local(at_ms, zone).replace(minute=0, second=0, microsecond=0)
    return int(begin.timestamp()) // 60


def moment(row: Row, name: str = "id") -> int:
    return int(row[name].int >> 80)


def clicks_by_day(rows: Iterable[Row], zone: ZoneInfo) -> Counter[tuple[int, int]]:
    return Counter((day(moment(row), zone), row["link_id"]) for row in rows if row["clicked_at"])


def clicks_by_class(rows: Iterable[Row], zone: ZoneInfo) -> Counter[tuple[int, int, str]]:
    there = [row for row in rows if row["clicked_at"] and not row["erased_at"]]
    return Counter((hour(moment(row), zone), row["link_id"], row["traffic_class"] or "") for row in there)


def starts_by_ad(rows: Iterable[Row], zone: ZoneInfo) -> Counter[tuple[int, int, bytes]]:
    """Clicks with an owner, and those that are known by their tokens only."""
    owned = [row for row in rows if row["owner_telegram_id"]]
    return Counter((day(moment(row), zone), row["link_id"], row["ad_key"]) for row in owned)


def starts_by_kind(rows: Iterable[Row], zone: ZoneInfo) -> Counter[tuple[int, int, str]]:
    return Counter((day(row["started_at"], zone), row["bot_id"], row["kind"]) for row in rows)


def sales_by_hour(rows: Iterable[Row], zone: ZoneInfo) -> Counter[tuple[int, str, str]]:
    """Micros of each event, once: by its id, whatever lanes it is in."""
    once = {row["event_id"]: row for row in rows}
    sums: Counter[tuple[int, str, str]] = Counter()
    for row in once.values():
        if row["value"]:
            sums[hour(row["event_at"], zone), row["event"], row["currency"]] += row["value"]
    return sums
