"""`column` is one of many ids, in a statement whose text is the same for any number of them.

Such a statement is compiled and prepared once, and no engine's limit of parameters is met: PostgreSQL is given an
array, SQLite a JSON list.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, ColumnElement, String, Uuid, any_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

IDS = "ids"
# And no plan is compiled first: that takes longer than the work, and what is switched off looks dear enough for it.
_BY_INDEX = "SELECT " + ", ".join(
    f"set_config('{name}', 'off', true)" for name in ("enable_seqscan", "enable_sort", "jit")
)


def among(engine: AsyncEngine, column: Column[Any]) -> ColumnElement[bool]:
    """The condition; its parameter IDS takes what `packer` makes."""
    if engine.dialect.name == "postgresql":
        return column == any_(bindparam(IDS, type_=ARRAY(Uuid)))
    listed = func.json_each(bindparam(IDS, type_=String)).table_valued("value")
    return column.in_(select(listed.c.value))


def packer(engine: AsyncEngine) -> Callable[[Iterable[UUID]], Any]:
    """What makes ids the value of the parameter, sorted: rows are locked in one order by everybody who may wait."""
    return sorted if engine.dialect.name == "postgresql" else _as_json


async def by_index(connection: AsyncConnection) -> None:
    """From here to its end, a transaction reads no table whole and follows the order of indexes.

    PostgreSQL does otherwise where it has no statistics yet, or takes a long queue for the short one that it was.
    """
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(_BY_INDEX)


def _as_json(ids: Iterable[UUID]) -> str:
    return json.dumps(sorted(one.hex for one in ids))
