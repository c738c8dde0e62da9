"""The exports by name, and reading one. The dashboard and `trilha export` do both through here."""

from collections.abc import Iterator
from typing import Literal, get_args

from analytics.exports.ads import ADS, SALES
from analytics.exports.csv_file import csv_blocks
from analytics.exports.days import CLASSES, CONVERSIONS, DAYS
from analytics.exports.parquet_file import parquet_bytes
from analytics.exports.table import Export, Exported, Scope
from analytics.figures.asked import Reader
from domain.errors import ConfigError

Format = Literal["csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
EXPORTS = {export.name: export for export in (ADS, SALES, DAYS, CLASSES, CONVERSIONS)}


def export_named(name: str) -> Export:
    """That export. ConfigError, which names them all, for no such one."""
    if name not in EXPORTS:
        raise ConfigError(f"no such export: {name!r}. There are: {', '.join(EXPORTS)}")
    return EXPORTS[name]


async def read_export(reader: Reader, export: Export, scope: Scope) -> Exported:
    """All rows of it, as of one moment. Raises StoreUnavailable."""
    found = await reader.ask(*export.asks(scope))
    return Exported(export=export, rows=[*export.made(scope, *found)])


def blocks(exported: Exported, form: Format) -> Iterator[bytes]:
    """The file, piece by piece. ConfigError for Parquet without pyarrow, before the first piece."""
    if form == "parquet":
        return iter([parquet_bytes(exported)])
    return csv_blocks(exported)


def file_name(exported: Exported, scope: Scope, form: Format) -> str:
    """What the file is called: the name, the days, and how it is written."""
    period = scope.period
    return f"trilha-{exported.export.name}-{period.first}-to-{period.last}.{form}"
