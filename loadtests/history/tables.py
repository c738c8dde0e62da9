"""What a history finds in its database, and what it leaves there: a note of itself, by which it knows its own again."""

from __future__ import annotations

from loadtests.history.plan import CannotWrite, History
from loadtests.history.stores import Store

NOTE = "load_history"
"""A table of ours. A database without it was never a made-up history, and is never emptied."""
FILLED = (
    "outbox", "starts", "bot_users", "clicks", "accounting", "ads", "link_bots", "links", "pixels", "bots", "lanes",
)  # fmt: skip
"""Tables that a history fills, in an order in which foreign keys let them be emptied."""
DERIVED = (
    "click_changes", "start_changes", "event_changes", "rollup_hours", "rollup_days", "rollup_ads", "rollup_starts",
    "rollup_deliveries", "rollup_events", "rollup_sales",
)  # fmt: skip
NOT_MIGRATED = "the database has no tables of Trilha's, or older ones. Make them with: trilha migrate"


def check_tables(store: Store) -> None:
    """CannotWrite unless all tables are there."""
    if missing := [name for name in (*FILLED, "catalog") if not store.has_table(name)]:
        raise CannotWrite(f"{NOT_MIGRATED} (no {missing[0]})")


def holds(store: Store) -> str | None:
    """The first of our tables that has rows."""
    return next((name for name in FILLED if store.ask(f"SELECT 1 FROM {name} LIMIT 1")), None)


def noted(store: Store) -> tuple[History, int] | None:
    """The history that is written there, and the number of the slice that comes next."""
    if not store.has_table(NOTE):
        return None
    plan, following = store.ask(f"SELECT plan, following FROM {NOTE}")[0]
    return History.of(plan), following


def begin(store: Store, history: History) -> None:
    """Leave the note."""
    store.do(f"CREATE TABLE {NOTE} (plan VARCHAR(1000) NOT NULL, following INTEGER NOT NULL)")
    store.write(NOTE, ("plan", "following"), store.encode([(history.text(), 0)]))


def advance(store: Store, following: int) -> None:
    """Note how far it is, in the transaction of what was written."""
    store.do(f"UPDATE {NOTE} SET following = {following}")


def empty(store: Store) -> None:
    """Take a made-up history away again, with what was counted of it."""
    for name in (*FILLED, *(name for name in DERIVED if store.has_table(name))):
        store.do(f"TRUNCATE {name} CASCADE" if store.name == "postgresql" else f"DELETE FROM {name}")
    store.do(f"DROP TABLE {NOTE}")
    store.do("UPDATE catalog SET version = version + 1")
    store.commit()


PEOPLE = """
INSERT INTO bot_users (bot_id, telegram_id, first_started_at, last_started_at, first_click_id, first_click_at, last_click_id,
                       last_click_at, blocked, blocked_at)
SELECT seen.bot_id, seen.telegram_id, seen.first_at, seen.last_at, won.first_id, won.first_at, won.last_id, won.last_at,
       seen.telegram_id % 29 = 0, CASE WHEN seen.telegram_id % 29 = 0 THEN seen.last_at END
FROM (SELECT bot_id, telegram_id, MIN(started_at) AS first_at, MAX(started_at) AS last_at
      FROM starts GROUP BY bot_id, telegram_id) AS seen
LEFT JOIN (SELECT DISTINCT bot_id, telegram_id,
                  FIRST_VALUE(click_id) OVER one AS first_id, FIRST_VALUE(started_at) OVER one AS first_at,
                  LAST_VALUE(click_id) OVER one AS last_id, LAST_VALUE(started_at) OVER one AS last_at
           FROM starts WHERE kind = 'attributed'
           WINDOW one AS (PARTITION BY bot_id, telegram_id ORDER BY started_at, click_id
                          ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS won
  ON won.bot_id = seen.bot_id AND won.telegram_id = seen.telegram_id
"""
"""People's first and last touches, from their starts: the same as if each start had been added as it came (ADR 0021)."""
