"""places, agents, traffic classes and scores"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS: tuple[tuple[str, sa.types.TypeEngine[Any]], ...] = (
    ("country", sa.String(length=2)),
    ("region", sa.String(length=80)),
    ("city", sa.String(length=120)),
    ("asn", sa.BigInteger()),
    ("geo_source", sa.String(length=60)),
    ("device", sa.String(length=8)),
    ("os", sa.String(length=40)),
    ("os_version", sa.String(length=40)),
    ("browser", sa.String(length=40)),
    ("browser_version", sa.String(length=40)),
    ("app", sa.String(length=40)),
    ("automation", sa.String(length=8)),
    ("robot", sa.String(length=40)),
    ("traffic_class", sa.String(length=10)),
    ("tentative", sa.Boolean()),
    ("evidence", sa.JSON()),
    ("repeats", sa.Integer()),
    ("bot_score", sa.Integer()),
    ("fraud_score", sa.Integer()),
    ("reasons", sa.JSON()),
    ("baseline_bot", sa.Integer()),
    ("baseline_fraud", sa.Integer()),
    ("scored_at", sa.DateTime(timezone=True)),
)
_OWNED = sa.text("owner_telegram_id IS NOT NULL")
_UNSCORED = sa.text(
    "clicked_at IS NOT NULL AND erased_at IS NULL"
    " AND (traffic_class IS NULL OR (owner_telegram_id IS NOT NULL OR tentative) AND scored_at IS NULL)"
)


def upgrade() -> None:
    """Apply. Columns are added one by one: on SQLite a batch would copy the table."""
    for name, kind in _COLUMNS:
        op.add_column("clicks", sa.Column(name, kind, nullable=True))
    op.create_index(
        "ix_clicks_owned_visitor",
        "clicks",
        ["visitor_key", "started_at"],
        sqlite_where=_OWNED,
        postgresql_where=_OWNED,
    )
    op.create_index(
        "ix_clicks_unscored", "clicks", ["id"], sqlite_where=_UNSCORED, postgresql_where=_UNSCORED
    )
    op.create_index("ix_starts_click_id", "starts", ["click_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_starts_click_id", "starts")
    op.drop_index("ix_clicks_unscored", "clicks")
    op.drop_index("ix_clicks_owned_visitor", "clicks")
    for name, _ in reversed(_COLUMNS):
        op.drop_column("clicks", name)
