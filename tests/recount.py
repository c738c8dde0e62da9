"""What `bot_users` must hold, counted anew from `starts` in the plainest way: by sorting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

TOUCHES = (
    "first_started_at",
    "last_started_at",
    "first_click_id",
    "first_click_at",
    "last_click_id",
    "last_click_at",
)


def recount(starts: Iterable[Mapping[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    """The touches of each person (bot, Telegram id), from rows of `starts`."""
    theirs = defaultdict(list)
    for row in starts:
        theirs[row["bot_id"], row["telegram_id"]].append(row)
    return {person: _touches(rows) for person, rows in theirs.items()}


def as_kept(bot_users: Iterable[Mapping[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    """The same of rows of `bot_users`."""
    return {(row["bot_id"], row["telegram_id"]): {name: row[name] for name in TOUCHES} for row in bot_users}


def _touches(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    times = sorted(row["started_at"] for row in rows)
    won = sorted((row["started_at"], row["click_id"]) for row in rows if row["kind"] == "attributed")
    first, last = (won[0], won[-1]) if won else ((None, None), (None, None))
    return dict(zip(TOUCHES, (times[0], times[-1], *first[::-1], *last[::-1]), strict=True))
