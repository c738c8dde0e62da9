"""How each table moves, what names its rows, and whether two rows are the same."""

import json
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Table, UniqueConstraint, literal, tuple_

from backends.sql.tables import CHANGES, metadata

Key = tuple[Any, ...]


def _is_bound(table: Table) -> bool:
    """Whether rows of this table and of others, or of itself, allow each other: a row alone cannot always be written."""
    referred = {key.column.table.name for each in metadata.sorted_tables for key in each.foreign_keys}
    unique = any(isinstance(each, UniqueConstraint) for each in table.constraints)
    return bool(table.foreign_keys) or table.name in referred or unique


# Copied whole while nobody writes: small, and bound to each other by foreign keys and unique names; and the changes that
# wait to be folded, which come and go all the time. All others are copied beforehand, and what changes in them is tracked.
WHOLE = tuple(table for table in metadata.sorted_tables if _is_bound(table) or table in CHANGES)
TRACKED = tuple(table for table in metadata.sorted_tables if table not in WHOLE)


def keys_of(table: Table) -> list[Column[Any]]:
    """The columns of the primary key."""
    return list(table.primary_key.columns)


def key_in(table: Table, row: Sequence[Any]) -> Key:
    """The key of a row of `select(table)`."""
    places = [list(table.c).index(column) for column in keys_of(table)]
    return tuple(row[place] for place in places)


def after(table: Table, last: Key) -> ColumnElement[bool]:
    """Rows beyond that one, in the order of the key."""
    columns = keys_of(table)
    if len(columns) == 1:
        return columns[0] > literal(last[0], columns[0].type)
    values = [literal(value, column.type) for value, column in zip(last, columns, strict=True)]
    return tuple_(*columns) > tuple_(*values)


def key_text(key: Key) -> str:
    """A key as text that `read_key` understands."""
    return json.dumps([_said(part) for part in key])


def read_key(text: str) -> Key:
    """The inverse of `key_text`."""
    return tuple(_READ[kind](value) for kind, value in json.loads(text))


def _said(part: Any) -> tuple[str, Any]:
    if isinstance(part, UUID):
        return "uuid", part.hex
    if isinstance(part, bytes):
        return "bytes", part.hex()
    return ("date", part.isoformat()) if isinstance(part, date) else ("plain", part)


_READ: dict[str, Any] = {
    "uuid": UUID,
    "bytes": bytes.fromhex,
    "date": date.fromisoformat,
    "plain": lambda value: value,
}


def unlike(table: Table, rows: Iterable[Sequence[Any]], others: Iterable[Sequence[Any]]) -> list[Key]:
    """The keys of `rows` of which `others` have no row, or one that is not the same to the last bit.

    Rows are those of SQLAlchemy's types, whichever engine they are of.
    """
    there = {key_in(table, row): repr(tuple(row)) for row in others}
    keyed = ((key_in(table, row), row) for row in rows)
    return [key for key, row in keyed if there.get(key) != repr(tuple(row))]


def keyed_by(table: Table, keys: Iterable[Key]) -> ColumnElement[bool]:
    """Rows with those keys."""
    columns = keys_of(table)
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return tuple_(*columns).in_(list(keys))
