"""`column` is one of many ids, in a statement whose text is the same for any number of them.

Such a statement is compiled and prepared once, and no engine's limit of parameters is met: PostgreSQL is given an
array, SQLite a JSON list.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, ColumnElement, String, Uuid, any_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

IDS = "ids"


def among(engine: AsyncEngine, column: Column[Any]) -> ColumnElement[bool]:
    """The condition; its parameter IDS takes what `packer` makes."""
    if engine.dialect.name == "postgresql":
        return column == any_(bindparam(IDS, type_=ARRAY(Uuid)))
    listed = func.json_each(bindparam(IDS, type_=String)).table_valued("value")
    return column.in_(select(listed.c.value))


def packer(engine: AsyncEngine) -> Callable[[Iterable[UUID]], Any]:
    """What makes ids the value of the parameter, sorted: rows are locked in one order by everybody who may wait."""
    return sorted if engine.dialect.name == "postgresql" else _as_json


def _as_json(ids: Iterable[UUID]) -> str:
    return json.dumps(sorted(one.hex for one in ids))
