"""erasures, what is left of them to do, and an audit that is only added to"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SQLITE = (
    "CREATE TRIGGER audit_no_{name} BEFORE {name} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END"
)
_POSTGRESQL = (
    (
        "CREATE FUNCTION audit_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit is only added to' USING ERRCODE = 'insufficient_privilege'; END $$"
    ),
    (
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_added_to()"
    ),
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "erasures",
        sa.Column("person_key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person_key", name=op.f("pk_erasures")),
    )
    op.create_table(
        "unerased",
        sa.Column("click_id", sa.Uuid(), nullable=False),
        sa.Column("store", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("click_id", "store", name=op.f("pk_unerased")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    for statement in _guards():
        op.execute(statement)
    _index_people("telegram_id", "bot_id")


def downgrade() -> None:
    """Take back."""
    _index_people("bot_id", "telegram_id")
    op.drop_table("audit")
    if _on_postgresql():
        op.execute("DROP FUNCTION audit_is_only_added_to()")
    op.drop_table("unerased")
    op.drop_table("erasures")


def _index_people(first: str, second: str) -> None:
    op.drop_index("ix_clicks_owner", "clicks")
    op.drop_index("ix_starts_person", "starts")
    op.create_index("ix_clicks_owner", "clicks", [f"owner_{first}", f"owner_{second}"])
    op.create_index("ix_starts_person", "starts", [first, second, "started_at"])


def _guards() -> tuple[str, ...]:
    if _on_postgresql():
        return _POSTGRESQL
    return tuple(_SQLITE.format(name=name) for name in ("UPDATE", "DELETE"))


def _on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
