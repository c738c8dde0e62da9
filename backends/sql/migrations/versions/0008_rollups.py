"""rollups, and the changes that are to be folded into them"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

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
    )
    op.create_table(
        "rollup_starts",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bot_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("starts", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("day", "bot_id", "kind", name=op.f("pk_rollup_starts")),
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
    )
    op.add_column("outbox", sa.Column("ad_key", sa.LargeBinary(length=8)))


def downgrade() -> None:
    """Take back."""
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
