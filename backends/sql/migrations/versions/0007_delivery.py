"""delivery: a conversion for each lane, tokens of pixels, webhooks, which events a link reports, Sec-GPC"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_KEPT = "event_id, click_id, event, event_at, state, reason"
_PENDING = sa.text("state = 'pending'")
_FAILED = sa.text("state IN ('rejected', 'dead')")
_OF_PERSON = sa.text("telegram_id IS NOT NULL")
_HAS_DIGESTS = sa.text("person IS NOT NULL")
_OF_ORDER = sa.text("order_id IS NOT NULL")


def upgrade() -> None:
    """Apply. Every conversion of before is in the lane of its pixel, and due."""
    op.add_column("clicks", sa.Column("gpc", sa.Boolean()))
    op.add_column(
        "links", sa.Column("events_off", sa.String(length=500), nullable=False, server_default="PageView")
    )
    op.add_column("pixels", sa.Column("token", sa.LargeBinary()))
    op.add_column("pixels", sa.Column("app_secret", sa.LargeBinary()))
    op.create_table(
        "webhooks",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "lanes",
        sa.Column("lane", sa.String(length=60), nullable=False),
        sa.Column("held_at", _TIME),
        sa.Column("hold_reason", sa.String(length=200)),
        sa.Column("sent_at", _TIME),
        sa.Column("warning", sa.String(length=200)),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_lanes")),
    )
    op.drop_index("ix_outbox_click_id", table_name="outbox")
    op.rename_table("outbox", "outbox_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX pk_outbox RENAME TO pk_outbox_before")
    _outbox()
    op.execute(
        f"INSERT INTO outbox ({_KEPT}, lane, link_id, next_at) SELECT {_KEPT}, "  # noqa: S608  constants
        "CASE WHEN pixel_id IS NULL THEN '' ELSE 'meta/' || pixel_id END, "
        "(SELECT link_id FROM clicks c WHERE c.id = click_id), event_at FROM outbox_before"
    )
    op.drop_table("outbox_before")


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.String(length=60), nullable=False),
        sa.Column("event", sa.String(length=50), nullable=False),
        sa.Column("event_at", _TIME, nullable=False),
        sa.Column("click_id", sa.Uuid()),
        sa.Column("link_id", sa.Integer()),
        sa.Column("bot_id", sa.Integer()),
        sa.Column("telegram_id", sa.BigInteger()),
        sa.Column("value", sa.BigInteger()),
        sa.Column("currency", sa.String(length=3)),
        sa.Column("order_id", sa.String(length=100)),
        sa.Column("custom", sa.JSON()),
        sa.Column("person", sa.JSON()),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=200)),
        sa.Column("code", sa.String(length=20)),
        sa.Column("trace", sa.String(length=100)),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_at", _TIME, nullable=False),
        sa.Column("sent_at", _TIME),
        sa.Column("matched", sa.String(length=200)),
        sa.PrimaryKeyConstraint("event_id", "lane", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_click_id", "outbox", ["click_id"])
    op.create_index("ix_outbox_event_at", "outbox", ["event_at"])
    for name, columns, which in (
        ("ix_outbox_due", ["lane", "next_at", "event_at"], _PENDING),
        ("ix_outbox_failed", ["event_at"], _FAILED),
        ("ix_outbox_person", ["telegram_id", "bot_id"], _OF_PERSON),
        ("ix_outbox_digests", ["event_at"], _HAS_DIGESTS),
        ("ix_outbox_order", ["order_id"], _OF_ORDER),
    ):
        op.create_index(name, "outbox", columns, sqlite_where=which, postgresql_where=which)


def downgrade() -> None:
    """Take back. What was sent, rejected or dead stays so; conversions of no click, and those to webhooks, go.

    Names of events are cropped to the 40 characters that there is room for.
    """
    op.drop_index("ix_outbox_click_id", table_name="outbox")
    for name in ("event_at", "due", "failed", "person", "digests", "order"):
        op.drop_index(f"ix_outbox_{name}", table_name="outbox")
    op.rename_table("outbox", "outbox_after")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX pk_outbox RENAME TO pk_outbox_after")
    op.create_table(
        "outbox",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("click_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("event_at", _TIME, nullable=False),
        sa.Column("pixel_id", sa.String(length=20)),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=200)),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_click_id", "outbox", ["click_id"])
    op.execute(
        f"INSERT INTO outbox ({_KEPT}, pixel_id) "  # noqa: S608  constants
        "SELECT event_id, click_id, substr(event, 1, 40), event_at, state, reason, "
        "CASE WHEN lane = '' THEN NULL ELSE substr(lane, 6) END FROM outbox_after "
        "WHERE click_id IS NOT NULL AND lane NOT LIKE 'webhook/%'"
    )
    op.drop_table("outbox_after")
    op.drop_table("lanes")
    op.drop_table("webhooks")
    op.drop_column("pixels", "app_secret")
    op.drop_column("pixels", "token")
    op.drop_column("links", "events_off")
    op.drop_column("clicks", "gpc")
