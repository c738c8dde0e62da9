"""Tables of the operators: who may use the dashboard, and what they are warned of."""

from sqlalchemy import JSON, Column, ColumnElement, ForeignKey, Index, Integer, LargeBinary, String, Table

from backends.sql.schema import UtcMillis, metadata

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False),
    # The name in lower case: no two differ in case only.
    Column("name_key", String(64), nullable=False, unique=True),
    # Argon2id, in its own encoding, salt and parameters included.
    Column("password", String(200), nullable=False),
    # owner, analyst or dpo.
    Column("role", String(8), nullable=False),
    Column("created_at", UtcMillis, nullable=False),
    Column("disabled_at", UtcMillis),
    # The audit names users by their number, for ever: SQLite would give that of a removed one to the next.
    sqlite_autoincrement=True,
)

# SHA-256 of the session's secret, which only the browser has.
sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id"), nullable=False),
    Column("created_at", UtcMillis, nullable=False),
    Column("seen_at", UtcMillis, nullable=False),
    Column("expires_at", UtcMillis, nullable=False),
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_expires_at", "expires_at"),
)

IDLE_MS = 12 * 3_600_000
LONGEST_MS = 7 * 86_400_000


def ended(now_ms: int) -> ColumnElement[bool]:
    """Sessions that have ended by themselves: seven days after they began, or twelve hours after they were last seen."""
    return (sessions.c.expires_at <= now_ms) | (sessions.c.seen_at <= now_ms - IDLE_MS)


# Alerts that hold or have held: one row for each rule and what it is about (a lane, a bot, a node; '' for all).
alerts = Table(
    "alerts",
    metadata,
    Column("rule", String(40), primary_key=True),
    Column("subject", String(100), primary_key=True),
    # Since when the condition holds; when it fired (NULL: it has not held for long enough); when it was told last; since when
    # a firing one's condition is over; when it ended.
    Column("since", UtcMillis, nullable=False),
    Column("fired_at", UtcMillis),
    Column("told_at", UtcMillis),
    Column("cleared_at", UtcMillis),
    Column("resolved_at", UtcMillis),
    # How often it has come back at once.
    Column("flaps", Integer, nullable=False, server_default="0"),
    # Grows with every change: of two workers that judge the same, one changes the row, and that one tells.
    Column("version", Integer, nullable=False, server_default="0"),
    Column("detail", JSON, nullable=False),
)

# Workers that judge alerts: when each did so last, and since when the oldest record waits in its spools.
alert_judges = Table(
    "alert_judges",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("judged_at", UtcMillis, nullable=False),
    Column("waits_since", UtcMillis),
)
