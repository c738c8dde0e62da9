"""bots that workers are, pools of them, greetings, and the people of a bot"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_BOT_COLUMNS: tuple[tuple[str, sa.types.TypeEngine[Any]], ...] = (
    ("health_at", _TIME),
    ("telegram_id", sa.BigInteger()),
    ("token", sa.LargeBinary()),
    ("webhook_key", sa.LargeBinary(length=32)),
    ("worker", sa.String(length=32)),
    ("worker_until", _TIME),
    ("heard_at", _TIME),
    ("checked_at", _TIME),
    ("update_pts", sa.Integer()),
    ("update_qts", sa.Integer()),
    ("update_date", sa.Integer()),
)
_WON = (
    "UPDATE bot_users SET {column} = (SELECT {what} FROM starts s WHERE s.bot_id = bot_users.bot_id "
    "AND s.telegram_id = bot_users.telegram_id AND s.kind = 'attributed' "
    "ORDER BY s.started_at {order}, s.click_id {order} LIMIT 1)"
)


def upgrade() -> None:
    """Apply. Columns are added one by one where a batch would copy a table; every link's one bot becomes its pool."""
    op.add_column("bots", sa.Column("health", sa.String(length=12), nullable=False, server_default="unknown"))
    for name, kind in _BOT_COLUMNS:
        op.add_column("bots", sa.Column(name, kind))
    op.add_column("starts", sa.Column("reply", sa.String(length=8)))
    op.add_column("starts", sa.Column("replied_at", _TIME))
    led = op.get_bind().execute(sa.text("SELECT id, bot_id FROM links WHERE bot_id IS NOT NULL")).all()
    with op.batch_alter_table("links") as batch:
        batch.drop_constraint("fk_links_bot_id_bots", type_="foreignkey")
        batch.drop_column("bot_id")
        batch.add_column(
            sa.Column("strategy", sa.String(length=12), nullable=False, server_default="weighted")
        )
        batch.add_column(sa.Column("bridge", sa.Boolean(), nullable=False, server_default=sa.false()))
    pool = op.create_table(
        "link_bots",
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bot_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("priority", sa.Integer(), nullable=False, server_default="1"),
        sa.ForeignKeyConstraint(["link_id"], ["links.id"], name=op.f("fk_link_bots_link_id_links")),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_link_bots_bot_id_bots")),
        sa.PrimaryKeyConstraint("link_id", "bot_id", name=op.f("pk_link_bots")),
    )
    op.bulk_insert(pool, [{"link_id": link, "bot_id": bot} for link, bot in led])
    op.create_table(
        "greetings",
        sa.Column("link_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("text", sa.String(length=4096), nullable=False),
        sa.Column("buttons", sa.JSON(), nullable=False),
        sa.Column("photo_url", sa.String(length=2000)),
        sa.ForeignKeyConstraint(["link_id"], ["links.id"], name=op.f("fk_greetings_link_id_links")),
        sa.PrimaryKeyConstraint("link_id", "language", name=op.f("pk_greetings")),
    )
    _people()


def _people() -> None:
    """The table, and the people whose starts are known already."""
    op.create_table(
        "bot_users",
        sa.Column("bot_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("telegram_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_started_at", _TIME, nullable=False),
        sa.Column("last_started_at", _TIME, nullable=False),
        sa.Column("first_click_id", sa.Uuid()),
        sa.Column("first_click_at", _TIME),
        sa.Column("last_click_id", sa.Uuid()),
        sa.Column("last_click_at", _TIME),
        sa.Column("blocked", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("blocked_at", _TIME),
        sa.PrimaryKeyConstraint("bot_id", "telegram_id", name=op.f("pk_bot_users")),
    )
    op.create_index("ix_bot_users_person", "bot_users", ["telegram_id"])
    op.create_index("ix_bot_users_last_started_at", "bot_users", ["last_started_at"])
    op.execute(
        "INSERT INTO bot_users (bot_id, telegram_id, first_started_at, last_started_at) "
        "SELECT bot_id, telegram_id, MIN(started_at), MAX(started_at) FROM starts GROUP BY bot_id, telegram_id"
    )
    for which, order in (("first", "ASC"), ("last", "DESC")):
        for column, what in ((f"{which}_click_id", "click_id"), (f"{which}_click_at", "started_at")):
            op.execute(_WON.format(column=column, what=what, order=order))


def downgrade() -> None:
    """Take back. Of a pool, the first bot stays."""
    first = (
        "SELECT link_id, (SELECT bot_id FROM link_bots b WHERE b.link_id = p.link_id "
        "ORDER BY b.priority, b.weight DESC, b.bot_id LIMIT 1) FROM link_bots p GROUP BY link_id"
    )
    led = op.get_bind().execute(sa.text(first)).all()
    op.drop_table("bot_users")
    op.drop_table("greetings")
    op.drop_table("link_bots")
    with op.batch_alter_table("links") as batch:
        batch.drop_column("bridge")
        batch.drop_column("strategy")
        batch.add_column(sa.Column("bot_id", sa.Integer()))
        batch.create_foreign_key("fk_links_bot_id_bots", "bots", ["bot_id"], ["id"])
    for link, bot in led:
        op.execute(sa.text("UPDATE links SET bot_id = :bot WHERE id = :link").bindparams(bot=bot, link=link))
    op.drop_column("starts", "replied_at")
    op.drop_column("starts", "reply")
    for name, _ in reversed(_BOT_COLUMNS):
        op.drop_column("bots", name)
    op.drop_column("bots", "health")
