"""One file of the archive: rows come in batches, row groups go to the disk, and a digest says whether anything is new."""

from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from analytics.archive.tables import SCHEMA, ArchiveTable, Naming
from analytics.exports.parquet_file import arrow, schema_of
from domain.errors import ConfigError

ROW_GROUP = 100_000
"""Rows: what one core of a reader takes at a time (DuckDB's own are 122,880), and some 30 MB of memory here."""
LEVEL = 3


class Part:
    """The file of one day. Nothing is made before the first row. ConfigError where it cannot be written, or without pyarrow."""

    def __init__(self, half: Path, table: ArchiveTable, naming: Naming) -> None:
        self._half, self._made, self._naming = half, table.made, naming
        columns = table.columns_with(owners=naming.owner_key is not None)
        self._pa, self._parquet = arrow()
        self._schema = schema_of(self._pa, columns)
        self._erased = next((n for n, column in enumerate(columns) if column.name == "erased"), None)
        self._digest = blake2b(repr((SCHEMA, columns)).encode(), digest_size=16)
        self._waiting: list[Any] = []
        self._writer: Any = None
        self.rows = self.erased = 0

    @property
    def digest(self) -> str:
        """Of all rows so far, in their order, and of the columns; hexadecimal."""
        return self._digest.hexdigest()

    def take(self, rows: Sequence[Any]) -> None:
        """The next rows of SQL."""
        cells = [tuple(self._made(row, self._naming)) for row in rows]
        if not cells:
            return
        self._digest.update(repr(cells).encode())
        self.rows += len(cells)
        if self._erased is not None:
            self.erased += sum(row[self._erased] for row in cells)
        arrays = [
            self._pa.array(values, field.type)
            for values, field in zip(zip(*cells, strict=True), self._schema, strict=True)
        ]
        self._waiting.append(self._pa.record_batch(arrays, schema=self._schema))
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self._write()

    def close(self) -> None:
        """Write what waits, and close the file."""
        try:
            if self._waiting:
                self._write()
        finally:
            if self._writer is not None:
                self._writer.close()

    def discard(self) -> None:
        """Delete what was written; what cannot be deleted now, the next run deletes."""
        with suppress(OSError):
            if self._writer is not None:
                self._writer.close()
            self._half.unlink(missing_ok=True)

    def _write(self) -> None:
        try:
            self._to_disk()
        except OSError as error:
            # Not as it is: whoever reads SQL would take it for SQL's.
            raise ConfigError(f"{self._half} cannot be written: {error.strerror or error}") from None

    def _to_disk(self) -> None:
        if self._writer is None:
            self._half.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._writer = self._parquet.ParquetWriter(
                self._half, self._schema, compression="zstd", compression_level=LEVEL
            )
        self._writer.write_table(
            self._pa.Table.from_batches(self._waiting, self._schema), row_group_size=2 * ROW_GROUP
        )
        self._waiting = []
