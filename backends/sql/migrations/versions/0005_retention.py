"""totals of deleted clicks, and what retention looks for"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SEALED = sa.text("sealed IS NOT NULL")
_DIRECT = sa.text("click_id IS NULL")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "click_totals",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ad_key", sa.LargeBinary(length=8), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("traffic_class", sa.String(length=10), nullable=False),
        sa.Column("clicks", sa.Integer(), nullable=False),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "link_id", "ad_key", "country", "traffic_class", name=op.f("pk_click_totals")
        ),
    )
    op.create_index("ix_clicks_sealed", "clicks", ["id"], sqlite_where=_SEALED, postgresql_where=_SEALED)
    op.create_index(
        "ix_starts_direct", "starts", ["started_at"], sqlite_where=_DIRECT, postgresql_where=_DIRECT
    )


def downgrade() -> None:
    """Take back. The totals of clicks that are deleted go with their table."""
    op.drop_index("ix_starts_direct", "starts")
    op.drop_index("ix_clicks_sealed", "clicks")
    op.drop_table("click_totals")
