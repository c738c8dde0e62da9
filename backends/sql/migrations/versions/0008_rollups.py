"""rollups, and the changes that are to be folded into them"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# What a row counts for, by the column of its change. `{r}` is the row: NEW, OLD or the table. Whoever rebuilds one of these
# tables in a later migration loses its triggers on SQLite and makes them again there.
_CLICK: dict[str, str | None] = {
    "moment": None,
    "link_id": "{r}.link_id",
    "ad_key": "{r}.ad_key",
    "clicked": "({r}.clicked_at IS NOT NULL)",
    "erased": "({r}.erased_at IS NOT NULL)",
    "started_at": "CASE WHEN {r}.owner_telegram_id IS NOT NULL THEN {r}.started_at END",
    "country": "{r}.country",
    "region": "{r}.region",
    "city": "{r}.city",
    "device": "{r}.device",
    "os": "{r}.os",
    "browser": "{r}.browser",
    "app": "{r}.app",
    "traffic_class": "{r}.traffic_class",
    "bot_score": "{r}.bot_score",
    "fraud_score": "{r}.fraud_score",
    "has_address": "({r}.visitor_key IS NOT NULL)",
    "has_agent": (
        "(COALESCE({r}.device, 'unknown') <> 'unknown' OR {r}.robot IS NOT NULL OR {r}.automation IS NOT NULL)"
    ),
    "has_fbclid": "({r}.fbclid_key IS NOT NULL)",
}
_START: dict[str, str | None] = {"started_at": "{r}.started_at", "bot_id": "{r}.bot_id", "kind": "{r}.kind"}
_EVENT: dict[str, str | None] = {
    "event": "{r}.event",
    "event_at": "{r}.event_at",
    "moment": None,
    "link_id": "{r}.link_id",
    "ad_key": "{r}.ad_key",
    "lane": "{r}.lane",
    "state": "{r}.state",
    "reason": "{r}.reason",
    "value": "{r}.value",
    "currency": "{r}.currency",
}
# By table: where its changes go, what they say, the column that holds the click's id, which rows count at all.
_LOGGED: dict[str, tuple[str, dict[str, str | None], str, str]] = {
    "clicks": (
        "click_changes",
        _CLICK,
        "id",
        "({r}.clicked_at IS NOT NULL OR {r}.owner_telegram_id IS NOT NULL)",
    ),
    "starts": ("start_changes", _START, "", "TRUE"),
    "outbox": ("event_changes", _EVENT, "click_id", "TRUE"),
}
_TIME = sa.DateTime(timezone=True)
_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "click_changes",
        sa.Column("seq", _SEQ, nullable=False),
        sa.Column("sign", sa.Integer(), nullable=False),
        sa.Column("moment", sa.String(length=12), nullable=False),
        sa.Column("link_id", sa.Integer(), nullable=False),
        sa.Column("ad_key", sa.LargeBinary(length=8), nullable=False),
        sa.Column("clicked", sa.Boolean(), nullable=False),
        sa.Column("erased", sa.Boolean(), nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("country", sa.String(length=2)),
        sa.Column("region", sa.String(length=80)),
        sa.Column("city", sa.String(length=120)),
        sa.Column("device", sa.String(length=8)),
        sa.Column("os", sa.String(length=40)),
        sa.Column("browser", sa.String(length=40)),
        sa.Column("app", sa.String(length=40)),
        sa.Column("traffic_class", sa.String(length=10)),
        sa.Column("bot_score", sa.Integer()),
        sa.Column("fraud_score", sa.Integer()),
        sa.Column("has_address", sa.Boolean(), nullable=False),
        sa.Column("has_agent", sa.Boolean(), nullable=False),
        sa.Column("has_fbclid", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_click_changes")),
    )
    op.create_table(
        "start_changes",
        sa.Column("seq", _SEQ, nullable=False),
        sa.Column("sign", sa.Integer(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("bot_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_start_changes")),
    )
    op.create_table(
        "event_changes",
        sa.Column("seq", _SEQ, nullable=False),
        sa.Column("sign", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=50), nullable=False),
        sa.Column("event_at", _TIME, nullable=False),
        sa.Column("moment", sa.String(length=12)),
        sa.Column("link_id", sa.Integer()),
        sa.Column("ad_key", sa.LargeBinary(length=8)),
        sa.Column("lane", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=200)),
        sa.Column("value", sa.BigInteger()),
        sa.Column("currency", sa.String(length=3)),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_event_changes")),
    )
    op.create_table(
        "rollup_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollup_state")),
    )
    op.create_table(
        "rollup_hours",
        sa.Column("trait", sa.String(length=12), nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.String(length=120), nullable=False),
        sa.Column("clicks", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("starts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("alone", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("trait", "hour", "link_id", "value", name=op.f("pk_rollup_hours")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_days",
        sa.Column("trait", sa.String(length=12), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.String(length=120), nullable=False),
        sa.Column("clicks", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("starts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("alone", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("wait_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("trait", "day", "link_id", "value", name=op.f("pk_rollup_days")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_ads",
        sa.Column("trait", sa.String(length=12), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ad_key", sa.LargeBinary(length=8), nullable=False),
        sa.Column("value", sa.String(length=120), nullable=False),
        sa.Column("clicks", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("starts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("alone", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("wait_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("trait", "day", "link_id", "ad_key", "value", name=op.f("pk_rollup_ads")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_starts",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bot_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("starts", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("day", "bot_id", "kind", name=op.f("pk_rollup_starts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_deliveries",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lane", sa.String(length=60), nullable=False),
        sa.Column("event", sa.String(length=50), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("events", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("micros", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint(
            "day",
            "link_id",
            "lane",
            "event",
            "currency",
            "state",
            "reason",
            name=op.f("pk_rollup_deliveries"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_events",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event", sa.String(length=50), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("events", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("micros", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("hour", "link_id", "event", "currency", name=op.f("pk_rollup_events")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_sales",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ad_key", sa.LargeBinary(length=8), nullable=False),
        sa.Column("event", sa.String(length=50), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("events", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("micros", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "link_id", "ad_key", "event", "currency", name=op.f("pk_rollup_sales")
        ),
        sqlite_with_rowid=False,
    )
    _let_nobody_write()
    op.add_column("outbox", sa.Column("ad_key", sa.LargeBinary(length=8)))
    op.execute(
        "UPDATE outbox SET ad_key = (SELECT clicks.ad_key FROM clicks WHERE clicks.id = outbox.click_id) "
        "WHERE click_id IS NOT NULL"
    )
    for table in _LOGGED:
        op.execute(_log(table, "1", table))
        for statement in _triggers(table):
            op.execute(statement)
    if _on_postgresql():
        op.execute("SET LOCAL statement_timeout = '5s'")


def downgrade() -> None:
    """Take back."""
    for table in _LOGGED:
        for event in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER {table}_{event}" + (f" ON {table}" if _on_postgresql() else ""))
        if _on_postgresql():
            op.execute(f"DROP FUNCTION {table}_change()")
    op.drop_column("outbox", "ad_key")
    op.drop_table("rollup_sales")
    op.drop_table("rollup_events")
    op.drop_table("rollup_deliveries")
    op.drop_table("rollup_starts")
    op.drop_table("rollup_ads")
    op.drop_table("rollup_days")
    op.drop_table("rollup_hours")
    op.drop_table("rollup_state")
    op.drop_table("event_changes")
    op.drop_table("start_changes")
    op.drop_table("click_changes")


def _let_nobody_write() -> None:
    """In the order in which the ledger writes. What comes meanwhile waits in spools; what is logged is what there is."""
    if _on_postgresql():
        op.execute("LOCK TABLE clicks, starts IN SHARE ROW EXCLUSIVE MODE")
        op.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
        # As long as it takes to log all that there is.
        op.execute("SET LOCAL statement_timeout = 0")


def _log(table: str, sign: str, row: str) -> str:
    """Writes down what that row counts for; of the table: what each of its rows does."""
    into, _, _, counts = _LOGGED[table]
    said = _said(table)
    values = ", ".join(value.format(r=row) for value in said.values())
    of = f" FROM {table}" if row == table else ""
    return (
        f"INSERT INTO {into} (sign, {', '.join(said)}) "
        f"SELECT {sign}, {values}{of} WHERE {counts.format(r=row)}"
    )


def _said(table: str) -> dict[str, str]:
    _, said, click_id, _ = _LOGGED[table]
    cut = "left(encode(uuid_send({r}.%s), 'hex'), 12)" if _on_postgresql() else "substr({r}.%s, 1, 12)"
    return {name: value or cut % click_id for name, value in said.items()}


def _triggers(table: str) -> tuple[str, ...]:
    when = {"insert": _counts(table, "NEW"), "update": _differs(table), "delete": _counts(table, "OLD")}
    if _on_postgresql():
        return (_function(table), *(_calls(table, event, which) for event, which in when.items()))
    bodies = {"insert": ("NEW",), "update": ("OLD", "NEW"), "delete": ("OLD",)}
    return tuple(
        f"CREATE TRIGGER {table}_{event} AFTER {event.upper()} ON {table} WHEN {which} BEGIN "
        + " ".join(f"{_log(table, _SIGNS[row], row)};" for row in bodies[event])
        + " END"
        for event, which in when.items()
    )


_SIGNS = {"NEW": "1", "OLD": "-1"}


def _function(table: str) -> str:
    return (
        f"CREATE FUNCTION {table}_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP <> 'INSERT' THEN {_log(table, '-1', 'OLD')}; END IF; "
        f"IF TG_OP <> 'DELETE' THEN {_log(table, '1', 'NEW')}; END IF; "
        "RETURN NULL; END $$"
    )


def _calls(table: str, event: str, which: str) -> str:
    return (
        f"CREATE TRIGGER {table}_{event} AFTER {event.upper()} ON {table} "
        f"FOR EACH ROW WHEN ({which}) EXECUTE FUNCTION {table}_change()"
    )


def _counts(table: str, row: str) -> str:
    return _LOGGED[table][3].format(r=row)


def _differs(table: str) -> str:
    """Whether the row counts for something else now."""
    said = [*_said(table).values(), _LOGGED[table][3]]
    unlike = "IS DISTINCT FROM" if _on_postgresql() else "IS NOT"
    return " OR ".join(f"({each.format(r='OLD')}) {unlike} ({each.format(r='NEW')})" for each in said)


def _on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
