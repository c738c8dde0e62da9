"""clicks in partitions by day, on PostgreSQL"""

import re

import sqlalchemy as sa
from alembic import op

from backends.sql.before import BOUND, bound_of, patiently

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Of the old table, as they are: whatever an operator has added comes along.
_INDEXES = (
    "SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS made FROM pg_index i "
    "JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'clicks'::regclass AND NOT i.indisprimary ORDER BY 1"
)
_TRIGGERS = (
    "SELECT tgname AS name, pg_get_triggerdef(oid) AS made FROM pg_trigger "
    "WHERE tgrelid = 'clicks'::regclass AND NOT tgisinternal ORDER BY 1"
)
_GRANTS = (
    "SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS whom, "
    "a.privilege_type AS what, a.is_grantable AS further "
    "FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a "
    "WHERE c.oid = 'clicks'::regclass AND a.grantee <> c.relowner"
)
_OWNER = "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = 'clicks'::regclass"


def upgrade() -> None:
    """Apply. The old table becomes the first partition: no row of it is moved, nor read where `before` has been checked."""
    if not _on_postgresql():
        return
    bind = op.get_bind()
    op.execute("LOCK TABLE clicks IN ACCESS EXCLUSIVE MODE")
    indexes, triggers = bind.execute(sa.text(_INDEXES)).all(), bind.execute(sa.text(_TRIGGERS)).all()
    grants, owner = bind.execute(sa.text(_GRANTS)).all(), bind.execute(sa.text(_OWNER)).scalar_one()
    op.execute("ALTER TABLE clicks RENAME TO clicks_before")
    op.execute("ALTER TABLE clicks_before RENAME CONSTRAINT pk_clicks TO pk_clicks_before")
    for trigger in triggers:
        op.execute(f'DROP TRIGGER "{trigger.name}" ON clicks_before')
    for index in indexes:
        op.execute(f'ALTER INDEX "{index.name}" RENAME TO "{_renamed(index.name)}"')
    op.execute(
        "CREATE TABLE clicks (LIKE clicks_before INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE (id)"
    )
    op.execute(f"ALTER TABLE clicks OWNER TO {owner}")
    op.execute("ALTER TABLE clicks ADD CONSTRAINT pk_clicks PRIMARY KEY (id)")
    for made in (*indexes, *triggers):
        op.execute(sa.text(made.made.replace(":", r"\:")))
    for grant in grants:
        further = " WITH GRANT OPTION" if grant.further else ""
        op.execute(f"GRANT {grant.what} ON clicks TO {grant.whom}{further}")
    # Whatever no other partition takes: no click is refused for want of one.
    op.execute("CREATE TABLE clicks_default PARTITION OF clicks DEFAULT")
    op.execute(f"ALTER TABLE clicks_default OWNER TO {owner}")
    _attach(bind)


def _attach(bind: sa.Connection) -> None:
    checked = bound_of(bind, "clicks_before")
    bound = checked or bind.execute(sa.text("SELECT " + BOUND)).scalar_one()
    if checked is None:
        # Nobody has checked it before: an empty table, or one with clicks from the future, which go where they belong.
        # What they count for has been logged: that they move is not.
        op.execute("ALTER TABLE clicks_default DISABLE TRIGGER USER")
        patiently(
            bind,
            f"WITH late AS (DELETE FROM clicks_before WHERE id >= '{bound}' RETURNING *) "  # noqa: S608 - a UUID of ours
            "INSERT INTO clicks_default SELECT * FROM late",
        )
        op.execute("ALTER TABLE clicks_default ENABLE TRIGGER USER")
    patiently(
        bind, f"ALTER TABLE clicks ATTACH PARTITION clicks_before FOR VALUES FROM (MINVALUE) TO ('{bound}')"
    )
    op.execute("ALTER TABLE clicks_before DROP CONSTRAINT IF EXISTS clicks_before_bound")


def downgrade() -> None:
    """Take back: every row is copied, and writers wait for it."""
    if not _on_postgresql():
        return
    bind = op.get_bind()
    op.execute("LOCK TABLE clicks IN ACCESS EXCLUSIVE MODE")
    indexes, triggers = bind.execute(sa.text(_INDEXES)).all(), bind.execute(sa.text(_TRIGGERS)).all()
    op.execute("CREATE TABLE clicks_whole (LIKE clicks INCLUDING DEFAULTS INCLUDING STORAGE)")
    patiently(bind, "INSERT INTO clicks_whole SELECT * FROM clicks")
    op.execute("DROP TABLE clicks")
    op.execute("ALTER TABLE clicks_whole RENAME TO clicks")
    patiently(bind, "ALTER TABLE clicks ADD CONSTRAINT pk_clicks PRIMARY KEY (id)")
    for index in indexes:
        patiently(bind, re.sub(r"\bON ONLY\b", "ON", index.made))
    for trigger in triggers:
        op.execute(sa.text(trigger.made.replace(":", r"\:")))


def _renamed(index: str) -> str:
    return (
        index.replace("ix_clicks_", "ix_clicks_before_", 1)
        if index.startswith("ix_clicks_")
        else f"before_{index}"
    )


def _on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
