"""Moments as SQL has them, fast: millions are written."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def stamp(at_ms: int) -> str:
    """UTC milliseconds as `2026-11-27 12:00:00.000000`: how SQLite keeps a moment, and what PostgreSQL reads as one in UTC."""
    minute, rest = divmod(at_ms, 60_000)
    return f"{_minute(minute)}{rest // 1000:02}.{rest % 1000:03}000"


@lru_cache(maxsize=4096)
def _minute(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M:}"
