"""GeoIp: where an address is, from the databases that lie on this machine.

What no file can do to the process that reads it, and why:

- A damaged file cannot crash it: it is read by Python alone (mmdb.py says what that costs), and every look-up that
  comes across damage is an unknown.
- A file that is overwritten or cut off in place cannot either. That would end a process that has it mapped with a
  SIGBUS, whatever the reader, and `cp new.mmdb old.mmdb` does it. So what is mapped is a copy of ours without a name,
  which is gone when its last reader is. Mapped pages are the kernel's to take back.
- A new file that is damaged is not taken over: records from all over its tree are read first, and the
  reader that there was goes on.
"""

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal, NamedTuple

from daemon.enrich.addresses import public_number
from daemon.enrich.mmdb import SEPARATOR, Damaged, Metadata, Tree, Values
from daemon.enrich.places import Place, Schema, read_place, schema_of
from domain.enrichment import Geo

State = Literal["in use", "kept", "damaged", "unreadable"]
SUFFIX = ".mmdb"
LARGEST = 2 * 1024**3
SOURCE_LENGTH = 60
KEPT_PLACES = 100_000  # some 40 MB at most; a million addresses of the world fall into fewer
TRIED = 4096
SPECIMENS = 64
NOWHERE = Geo()


class Description(NamedTuple):
    """One file and what became of it.

    `state`: in use; kept (an older copy of it is in use, see `problem`); damaged or unreadable (`problem` says how).
    `built_ms` is UTC milliseconds. `failures` counts look-ups that came across damage.
    """

    path: Path
    state: State
    name: str = ""
    schema: Schema = "unknown"
    version: int = 0
    built_ms: int = 0
    nodes: int = 0
    size: int = 0
    failures: int = 0
    problem: str = ""


class Database:
    """One file, taken over. Any number of threads may read it. It goes when nobody uses it any more."""

    def __init__(self, data: mmap.mmap, stem: str) -> None:
        self.meta = Metadata(data)
        self.size = len(data)
        self.failures = 0
        self._base = self.meta.nodes * self.meta.record_bits // 4 + SEPARATOR
        self._values = Values(data, self._base)
        self._tree = Tree(data, self.meta)
        self._places: dict[int, Place] = {}
        self.schema = self._try_out()
        self.source = f"{_title(self.meta.name, stem)} {self._month()}"[:SOURCE_LENGTH]

    def place(self, address: int, bits: int) -> Place | None:
        """What it says of an address; None for nothing, or for a record that is damaged."""
        try:
            return self._place(address, bits)
        except Damaged:
            self.failures += 1
            return None

    def _place(self, address: int, bits: int) -> Place | None:
        at = self._tree.find(address, bits)
        return None if at is None else self._places.get(at) or self._read(at)

    def _read(self, at: int) -> Place:
        place = read_place(self._values, self._base + at)
        if len(self._places) >= KEPT_PLACES:
            self._places = {}
        self._places[at] = place
        return place

    def _try_out(self) -> Schema:
        """Read records from all over it. Raises Damaged when one fails, or when nothing known is in them."""
        schemas: list[Schema] = []
        for at in self._tree.samples(TRIED):
            self._read(at)
            if len(schemas) < SPECIMENS:
                schemas.append(schema_of(self._values.fields(self._base + at)))
        known = [schema for schema in schemas if schema != "unknown"]
        if not known:
            raise Damaged("no place and no network is in it")
        return max(known, key=known.count)

    def _month(self) -> str:
        try:
            return f"{datetime.fromtimestamp(self.meta.built, UTC):%Y-%m}"
        except (ValueError, OverflowError, OSError):
            raise Damaged("its build date is none") from None


def open_database(path: Path, scratch: Path | None = None) -> Database:
    """Take a file over. Damaged when it cannot be used, OSError when it cannot be read or there is no room."""
    return Database(_private_copy(path, scratch), path.stem)


class _Entry(NamedTuple):
    """A path, the file that was last seen there, and what is used of it."""

    signature: tuple[int, ...]
    database: Database | None
    state: State
    problem: str = ""


class GeoIp:
    """Answers from the databases under `paths`: files, or folders whose .mmdb files count. The first that knows is heard.

    Opens what is there when it is made, and blocks while it does: some 0.3 s for the largest. `scratch` is where its
    copies go; without one beside each file, else to the system's folder for such. No method raises.
    """

    def __init__(self, paths: Sequence[Path], *, scratch: Path | None = None) -> None:
        self._paths = tuple(paths)
        self._scratch = scratch
        self._entries: dict[Path, _Entry] = {}
        self._databases: tuple[Database, ...] = ()
        self.refresh()

    def of(self, ip: str | None) -> Geo:
        """Where it is. Unknown, private or no address at all: a Geo of nothing."""
        number = public_number(ip) if ip else None
        if number is None:
            return NOWHERE
        where = asn = source = asn_source = None
        for database in self._databases:
            found = database.place(*number)
            if found is None:
                continue
            if where is None and found.country:
                where, source = found, database.source
            if asn is None and found.asn:
                asn, asn_source = found.asn, database.source
        country, region, city, _ = where or (None, None, None, None)
        return Geo(country, region, city, asn, source or asn_source)

    def refresh(self) -> list[Description]:
        """Take over what is new or changed, drop what is gone. What became different, for a log.

        For a background thread, one at a time; look-ups go on meanwhile.
        """
        before, entries = self._entries, {}
        for path in self._found():
            entries[path] = self._entry(path, before.get(path))
        self._entries = entries
        self._databases = tuple(entry.database for entry in entries.values() if entry.database)
        return [_describe(path, entry) for path, entry in entries.items() if entry != before.get(path)]

    def describe(self) -> list[Description]:
        """Every file that is known of, in the order in which they are asked."""
        return [_describe(path, entry) for path, entry in self._entries.items()]

    def _found(self) -> Iterator[Path]:
        """The files there are. A file that was named is listed even when it is not there, a folder is not."""
        for path in self._paths:
            try:
                if path.is_dir():
                    yield from sorted(file for file in path.iterdir() if file.suffix == SUFFIX)
                elif path.suffix == SUFFIX or path.exists():
                    yield path
            except OSError:
                yield path

    def _entry(self, path: Path, before: _Entry | None) -> _Entry:
        signature: tuple[int, ...] = ()
        try:
            signature = _signature(path.stat())
            if before and before.signature == signature:
                return before
            return _Entry(signature, open_database(path, self._scratch), "in use")
        except FileNotFoundError:
            return _Entry((), None, "unreadable", "there is no such file")
        except Damaged as error:  # not tried again until it changes
            return _failed(signature, before, "damaged", str(error))
        except OSError as error:
            return _failed((), before, "unreadable", error.strerror or type(error).__name__)


def _failed(signature: tuple[int, ...], before: _Entry | None, state: State, problem: str) -> _Entry:
    """What there was goes on being used."""
    old = before.database if before else None
    return _Entry(signature, old, "kept" if old else state, problem)


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _private_copy(path: Path, scratch: Path | None) -> mmap.mmap:
    """The file's content, mapped from a copy that has no name and that nobody else can change."""
    with path.open("rb") as file:
        if not 0 < os.fstat(file.fileno()).st_size <= LARGEST:
            raise Damaged("it is empty" if file.seek(0, os.SEEK_END) == 0 else "it is too large")
        with _nameless(scratch or path.parent) as copy:
            shutil.copyfileobj(file, copy, 1024 * 1024)
            copy.flush()
            return mmap.mmap(copy.fileno(), 0, prot=mmap.PROT_READ)


def _nameless(folder: Path) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        return tempfile.TemporaryFile()


def _title(name: str, stem: str) -> str:
    """What a database is called. One whose own name says only what kind it is goes by its file's."""
    generic = not name or name.split(maxsplit=1)[0].lower() in {"city", "asn", "country"}
    title = stem if generic else name
    plain = "".join(c for c in title if c.isascii() and c.isprintable()).lower()
    return plain.removesuffix("-ipv4").removesuffix("-ipv6")[: SOURCE_LENGTH - len(" 2026-06")] or "unnamed"


def _describe(path: Path, entry: _Entry) -> Description:
    base = Description(path=path, state=entry.state, problem=entry.problem)
    database = entry.database
    if database is None:
        return base
    return base._replace(
        name=database.source,
        schema=database.schema,
        version=database.meta.version,
        built_ms=database.meta.built * 1000,
        nodes=database.meta.nodes,
        size=database.size,
        failures=database.failures,
    )
