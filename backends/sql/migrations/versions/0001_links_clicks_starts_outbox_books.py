"""links, clicks, starts, outbox, books"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "accounting",
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("boot", sa.String(length=32), nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("issued", sa.Integer(), server_default="0", nullable=False),
        sa.Column("synced", sa.Integer(), server_default="0", nullable=False),
        sa.Column("written", sa.Integer(), server_default="0", nullable=False),
        sa.Column("token_only", sa.Integer(), server_default="0", nullable=False),
        sa.Column("visible", sa.Integer(), server_default="0", nullable=False),
        sa.Column("spooled", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("node", "boot", "minute", name=op.f("pk_accounting")),
    )
    with op.batch_alter_table("accounting", schema=None) as batch_op:
        batch_op.create_index("ix_accounting_minute", ["minute"], unique=False)

    op.create_table(
        "ads",
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ad_key", sa.LargeBinary(length=8), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("medium", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("term", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("link_id", "ad_key", name=op.f("pk_ads")),
    )
    op.create_table(
        "bots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=32), nullable=False),
        sa.Column("username_key", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bots")),
        sa.UniqueConstraint("username_key", name=op.f("uq_bots_username_key")),
    )
    op.create_table(
        "catalog",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog")),
    )
    op.create_table(
        "clicks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("link_id", sa.Integer(), nullable=False),
        sa.Column("node", sa.Integer(), nullable=False),
        sa.Column("ad_key", sa.LargeBinary(length=8), nullable=False),
        sa.Column("clicked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("method", sa.String(length=4), nullable=True),
        sa.Column("params", sa.JSON(), nullable=True),
        sa.Column("referer_host", sa.String(length=255), nullable=True),
        sa.Column("language", sa.String(length=64), nullable=True),
        sa.Column("prefetch", sa.String(length=32), nullable=True),
        sa.Column("visitor_key", sa.LargeBinary(length=16), nullable=True),
        sa.Column("visitor_period", sa.Integer(), nullable=True),
        sa.Column("fbclid_key", sa.LargeBinary(length=16), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("owner_bot_id", sa.Integer(), nullable=True),
        sa.Column("owner_telegram_id", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("spooled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clicks")),
    )
    with op.batch_alter_table("clicks", schema=None) as batch_op:
        batch_op.create_index("ix_clicks_fbclid_key", ["fbclid_key"], unique=False)
        batch_op.create_index("ix_clicks_owner", ["owner_bot_id", "owner_telegram_id"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("click_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("event_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pixel_id", sa.String(length=20), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_outbox")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index("ix_outbox_click_id", ["click_id"], unique=False)

    op.create_table(
        "pixels",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pixels")),
    )
    op.create_table(
        "starts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bot_id", sa.Integer(), nullable=False),
        sa.Column("telegram_id", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("click_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_starts")),
    )
    with op.batch_alter_table("starts", schema=None) as batch_op:
        batch_op.create_index("ix_starts_person", ["bot_id", "telegram_id", "started_at"], unique=False)

    op.create_table(
        "links",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("bot_id", sa.Integer(), nullable=True),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("fallback_url", sa.String(length=2000), nullable=True),
        sa.Column("pixel_id", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_links_bot_id_bots")),
        sa.ForeignKeyConstraint(["pixel_id"], ["pixels.id"], name=op.f("fk_links_pixel_id_pixels")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        sa.UniqueConstraint("slug", name=op.f("uq_links_slug")),
    )
    op.execute("INSERT INTO catalog (id, version) VALUES (1, 1)")


def downgrade() -> None:
    """Take back."""
    op.drop_table("links")
    with op.batch_alter_table("starts", schema=None) as batch_op:
        batch_op.drop_index("ix_starts_person")

    op.drop_table("starts")
    op.drop_table("pixels")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index("ix_outbox_click_id")

    op.drop_table("outbox")
    with op.batch_alter_table("clicks", schema=None) as batch_op:
        batch_op.drop_index("ix_clicks_owner")
        batch_op.drop_index("ix_clicks_fbclid_key")

    op.drop_table("clicks")
    op.drop_table("catalog")
    op.drop_table("bots")
    op.drop_table("ads")
    with op.batch_alter_table("accounting", schema=None) as batch_op:
        batch_op.drop_index("ix_accounting_minute")

    op.drop_table("accounting")
