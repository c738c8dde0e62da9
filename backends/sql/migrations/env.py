"""Alembic's entry: runs on the connection that `backends.sql.migrate` hands in."""

from alembic import context
from sqlalchemy import text

from backends.sql.tables import metadata

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    # A migration that cannot get its lock gives up before it holds up live traffic.
    connection.execute(text("SET LOCAL lock_timeout = '4s'"))
    connection.execute(text("SET LOCAL statement_timeout = '5s'"))
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
