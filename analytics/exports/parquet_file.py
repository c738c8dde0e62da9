"""An export as Parquet, by pyarrow: an extra, as it is 40 MB that most operators do not need."""

import io
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from analytics.exports.table import Column, Exported, Kind
from domain.errors import ConfigError

HOW_TO_GET = "pip install 'trilha[parquet]'"


def parquet_possible() -> bool:
    """Whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def parquet_bytes(exported: Exported) -> bytes:
    """The whole file. ConfigError without pyarrow."""
    pa, parquet = arrow("CSV needs nothing")
    columns = exported.export.columns
    schema = schema_of(pa, columns)
    cells = zip(*exported.rows, strict=True) if exported.rows else ([] for _ in columns)
    arrays = [pa.array(values, field.type) for values, field in zip(cells, schema, strict=True)]
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays(arrays, schema=schema), file, compression="zstd")
    return file.getvalue()


def arrow(instead: str = "") -> tuple[Any, Any]:
    """pyarrow, and its parquet. ConfigError, which says how to get it and what to do instead, without it."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError:
        advice = f"Parquet needs pyarrow: {HOW_TO_GET}"
        raise ConfigError(f"{advice}. {instead}" if instead else advice) from None
    return pa, parquet


def schema_of(pa: Any, columns: Iterable[Column]) -> Any:
    """Names and types, as Arrow has them."""
    return pa.schema([(column.name, _type(pa, column.kind)) for column in columns])


def _type(pa: Any, kind: Kind) -> Any:
    return {
        "text": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "money": pa.decimal128(24, 6),
        "date": pa.date32(),
        "time": pa.timestamp("s", tz="UTC"),
        "moment": pa.timestamp("ms", tz="UTC"),
        "flag": pa.bool_(),
        "uuid": pa.uuid(),
    }[kind]
