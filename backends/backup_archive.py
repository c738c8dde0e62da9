"""The archive of a backup: a compressed tar that begins with its manifest, and can tell by itself whether it is whole."""

import gzip
import hashlib
import json
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from domain.errors import ConfigError, StoreUnavailable

FORMAT = 1
MANIFEST, SEAL = "manifest.json", "manifest.sha256"
SQLITE, POSTGRESQL = "sql/trilha.db", "sql/postgresql.dump"
CATALOG = "cache/catalog.json"
# What is packed and unpacked at once, how large a manifest may be, and how hard gzip tries: seals do not shrink anyway.
PIECE = 1 << 20
LARGEST_MANIFEST = 16 << 20
GZIP_LEVEL = 1
_NAMES = re.compile(
    rf"{SQLITE}|{POSTGRESQL}|{CATALOG}|spool/(?!\.)[\w.\-]{{1,120}}/cache\.db|aside/(?!\.)[\w.\-~]{{1,250}}\.bin"
)
Progress = Callable[[str, int, int], None]
"""Told what is under way, how much of it is done, and of how much (bytes or pieces)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of an archive, as its manifest has it."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an archive says of itself. `at_ms`: when the backup began, UTC milliseconds; `schema`: the migration that SQL was
    at; `counts`: rows by table; `ring`: which key ring it belongs to, no secret; `settings`: names of those that were set.
    """

    format: int
    trilha: str
    at_ms: int
    engine: str
    schema: str
    ring: str
    counts: Mapping[str, int]
    settings: tuple[str, ...]
    members: tuple[Member, ...]

    @property
    def names(self) -> list[str]:
        """The names of its files, in their order."""
        return [member.name for member in self.members]


def describe(name: str, path: Path, progress: Progress) -> Member:
    """The file as a member of that name. Raises StoreUnavailable."""
    size, done, digest = path.stat().st_size, 0, hashlib.sha256()
    with as_unavailable(path), path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            done += len(piece)
            progress("hashing", done, size)
    return Member(name=name, size=size, sha256=digest.hexdigest())


def pack(target: Path, manifest: Manifest, files: Mapping[str, Path], progress: Progress) -> None:
    """Write the archive: 0600, fsync'd, verified, and only then under its name. ConfigError when the name is taken."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with as_unavailable(target):
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                _write(file, manifest, files, progress)
                file.flush()
                os.fsync(file.fileno())
            verify(draft, progress)
            os.link(draft, target)  # unlike a rename, it never replaces what is there
    except FileExistsError:
        raise ConfigError(f"{target} exists already; a backup never overwrites anything") from None
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(target.parent)


def _write(file: IO[bytes], manifest: Manifest, files: Mapping[str, Path], progress: Progress) -> None:
    total, done = sum(member.size for member in manifest.members), 0
    said = json.dumps(asdict(manifest), indent=1).encode()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=GZIP_LEVEL, format=tarfile.PAX_FORMAT) as tar:
        for name, content in ((MANIFEST, said), (SEAL, _digest(said))):
            tar.addfile(_info(name, len(content)), BytesIO(content))
        for member in manifest.members:
            with files[member.name].open("rb") as source:
                tar.addfile(_info(member.name, member.size), source)
            done += member.size
            progress("packing", done, total)


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


def read_manifest(archive: Path) -> Manifest:
    """What an archive says of itself. ConfigError when it is none, damaged, or of a later format."""
    with _opened(archive) as tar:
        return _manifest_of(archive, tar)


def verify(archive: Path, progress: Progress) -> Manifest:
    """Read the archive to its end: every file there is, is whole, and is the one that was packed. ConfigError otherwise."""
    return unpack(archive, {}, progress, said="verifying")


def unpack(
    archive: Path, targets: Mapping[str, Path], progress: Progress, *, said: str = "unpacking"
) -> Manifest:
    """As `verify`, and write those members that have a target; each must not be there yet. 0600.

    StoreUnavailable when a target cannot be written.
    """
    with _opened(archive) as tar:
        manifest = _manifest_of(archive, tar)
        total, done = sum(member.size for member in manifest.members), 0
        for member in manifest.members:
            with _reading(archive, member.name):
                info = tar.next()
                if info is None or info.name != member.name or info.size != member.size or not info.isreg():
                    raise _damaged(archive, f"{member.name} is not where it should be")
                source = tar.extractfile(info)
                if source is None or _copy(source, targets.get(member.name)) != member.sha256:
                    raise _damaged(archive, f"{member.name} is not what was packed")
            done += member.size
            progress(said, done, total)
        with _reading(archive, "its end"):
            if tar.next() is not None:
                raise _damaged(archive, "there is more in it than its manifest says")
        return manifest


def _copy(source: IO[bytes], target: Path | None) -> str:
    digest = hashlib.sha256()
    with _written(target) as write:
        while piece := source.read(PIECE):
            digest.update(piece)
            write(piece)
    return digest.hexdigest()


@contextmanager
def _written(target: Path | None) -> Iterator[Callable[[bytes], None]]:
    """Writes a new file, fsync'd at its end; nothing without a target. A disk that fails is no archive that is damaged."""
    if target is None:
        yield lambda _piece: None
        return
    with as_unavailable(target):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)

    def write(piece: bytes) -> None:
        with as_unavailable(target):
            _write_all(handle, piece)

    try:
        yield write
        with as_unavailable(target):
            os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _manifest_of(archive: Path, tar: tarfile.TarFile) -> Manifest:
    with _reading(archive, MANIFEST):
        said = _small(tar, MANIFEST)
        if said is None:
            raise ConfigError(f"{archive} is no backup of Trilha's")
        if _small(tar, SEAL) != _digest(said):
            raise _damaged(archive, f"{MANIFEST} is not what was packed")
    try:
        return _manifest(json.loads(said))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(archive, f"{MANIFEST} cannot be read") from None


def _small(tar: tarfile.TarFile, name: str) -> bytes | None:
    info = tar.next()
    if info is None or info.name != name or not info.isreg() or info.size > LARGEST_MANIFEST:
        return None
    source = tar.extractfile(info)
    return source.read() if source else None


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _manifest(data: Any) -> Manifest:
    if data["format"] != FORMAT:
        raise ConfigError(
            f"the backup has format {data['format']}, and this Trilha knows {FORMAT}. Update it"
        )
    members = tuple(
        Member(name=str(item["name"]), size=int(item["size"]), sha256=str(item["sha256"]))
        for item in data["members"]
    )
    # Names become paths: nothing but what a backup writes.
    if not all(_NAMES.fullmatch(member.name) for member in members):
        raise ValueError("a name that no backup writes")
    return Manifest(
        format=FORMAT,
        trilha=str(data["trilha"]),
        at_ms=int(data["at_ms"]),
        engine=str(data["engine"]),
        schema=str(data["schema"]),
        ring=str(data["ring"]),
        counts={str(name): int(count) for name, count in data["counts"].items()},
        settings=tuple(map(str, data["settings"])),
        members=members,
    )


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        file = archive.open("rb")
    except FileNotFoundError:
        raise ConfigError(f"there is no {archive}") from None
    except OSError as error:
        raise ConfigError(f"{archive} cannot be read: {error.strerror}") from None
    with file, gzip.GzipFile(fileobj=file, mode="rb") as stream:
        with _reading(archive, "its beginning"):
            tar = tarfile.open(fileobj=stream, mode="r|", bufsize=PIECE)  # noqa: SIM115 - closed below
        with tar:
            yield tar


@contextmanager
def _reading(archive: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, OSError, zlib.error):
        raise _damaged(archive, f"{what} cannot be read") from None


def _damaged(archive: Path, why: str) -> ConfigError:
    return ConfigError(f"{archive} is damaged or not whole ({why}). Take another backup")


@contextmanager
def as_unavailable(path: Path) -> Iterator[None]:
    """A disk that fails as StoreUnavailable; a name that is taken stays FileExistsError."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Have names in it on the disk too. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
