"""An archive tells by itself whether it is whole, and names what is not."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import resource
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backends.backup_archive import (
    CATALOG,
    FORMAT,
    MANIFEST,
    SEAL,
    SQLITE,
    Manifest,
    describe,
    pack,
    read_manifest,
    unpack,
    verify,
)
from domain.errors import ConfigError, StoreUnavailable

CONTENTS = {
    "spool/daemon-1.a/cache.db": bytes(range(256)) * 30,
    SQLITE: b"rows " * 900,
    "aside/1~2.bin": b"\0" * 77,
    CATALOG: b"{}",
}
NAMES = (MANIFEST, SEAL, *CONTENTS)


def silent(_what: str, _done: int, _total: int) -> None: ...


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    files = {}
    for number, (name, content) in enumerate(CONTENTS.items()):
        files[name] = tmp_path / f"file{number}"
        files[name].write_bytes(content)
    target = tmp_path / "one.tar.gz"
    pack(target, manifest_of(files), files, silent)
    return target


def manifest_of(files: dict[str, Path]) -> Manifest:
    return Manifest(
        format=FORMAT,
        trilha="1",
        at_ms=5,
        engine="sqlite",
        schema="0010",
        ring="ab",
        counts={"clicks": 3},
        settings=(),
        members=tuple(describe(name, path, silent) for name, path in files.items()),
    )


def packed_again(archive: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The archive with members changed, or left out: a tar that is in order for whoever does not look at hashes."""
    target = archive.with_name("changed.tar.gz")
    with tarfile.open(archive) as source, tarfile.open(target, "w:gz") as made:
        for info in source.getmembers():
            file = source.extractfile(info)
            content = change(info.name, file.read() if file else b"")
            if content is not None:
                info.size = len(content)
                made.addfile(info, io.BytesIO(content))
    return target


def saying_otherwise(archive: Path, change: Callable[[bytes], bytes]) -> Path:
    """The archive with another manifest, whose hash is right."""
    with tarfile.open(archive) as tar:
        file = tar.extractfile(MANIFEST)
        said = change(file.read() if file else b"")
    new = {MANIFEST: said, SEAL: hashlib.sha256(said).hexdigest().encode()}
    return packed_again(archive, new.get)


def test_what_was_packed_comes_out_as_it_was_and_nobody_else_can_read_it(
    archive: Path, tmp_path: Path
) -> None:
    targets = {name: tmp_path / "out" / name for name in CONTENTS}
    assert unpack(archive, targets, silent) == read_manifest(archive) == verify(archive, silent)
    assert {name: path.read_bytes() for name, path in targets.items()} == CONTENTS
    assert {path.stat().st_mode & 0o777 for path in (archive, *targets.values())} == {0o600}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_of_which_one_bit_is_another_is_refused_by_its_name(archive: Path, name: str) -> None:
    def change(found: str, content: bytes) -> bytes:
        return content if found != name else content[:-1] + bytes([content[-1] ^ 1])

    with pytest.raises(ConfigError, match=f"{name} is not what was packed"):
        verify(packed_again(archive, change), silent)


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_that_is_missing_is_refused_by_its_name(archive: Path, name: str) -> None:
    changed = packed_again(archive, lambda found, content: None if found == name else content)
    with pytest.raises(ConfigError, match=f"{name} is not where it should be"):
        verify(changed, silent)


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_that_ends_within_a_file_is_refused_by_its_name(archive: Path, name: str) -> None:
    with tarfile.open(archive) as tar:
        end = tar.getmember(name).offset_data + 1
    cut = archive.with_name("cut.tar.gz")
    cut.write_bytes(gzip.compress(gzip.decompress(archive.read_bytes())[:end]))
    said = MANIFEST if name == SEAL else name
    with pytest.raises(ConfigError, match=f"damaged or not whole .{said}"):
        verify(cut, silent)


def test_a_manifest_that_was_changed_is_refused_before_anything_is_done(archive: Path) -> None:
    changed = packed_again(
        archive, lambda name, said: said.replace(b'"at_ms": 5', b'"at_ms": 4') if name == MANIFEST else said
    )
    for read in (read_manifest, lambda path: verify(path, silent)):
        with pytest.raises(ConfigError, match=f"{MANIFEST} is not what was packed"):
            read(changed)


@pytest.mark.parametrize("bad", [b"", b"{}", b"[]", b"no json", b'{"format": 2}'])
def test_what_is_no_manifest_is_refused(archive: Path, bad: bytes) -> None:
    changed = saying_otherwise(archive, lambda _: bad)
    with pytest.raises(ConfigError, match=f"{MANIFEST} cannot be read|has format 2"):
        read_manifest(changed)


@pytest.mark.parametrize("name", ["../secrets/keyring.json", "/etc/passwd", "spool/../cache.db", "sql/x"])
def test_a_name_that_no_backup_writes_is_refused(archive: Path, name: str) -> None:
    def change(content: bytes) -> bytes:
        said = json.loads(content)
        said["members"][0]["name"] = name
        return json.dumps(said).encode()

    with pytest.raises(ConfigError, match=f"{MANIFEST} cannot be read"):
        verify(saying_otherwise(archive, change), silent)


def test_more_than_the_manifest_says_is_refused(archive: Path) -> None:
    def change(content: bytes) -> bytes:
        said = json.loads(content)
        said["members"].pop()
        return json.dumps(said).encode()

    with pytest.raises(ConfigError, match="more in it"):
        verify(saying_otherwise(archive, change), silent)


@pytest.mark.parametrize("content", [b"", b"text", gzip.compress(b""), gzip.compress(b"text" * 999)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"damaged|no backup"):
        verify(path, silent)
    with pytest.raises(ConfigError, match="there is no"):
        verify(tmp_path / "none", silent)


def test_an_archive_is_never_written_over_another(archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        pack(archive, manifest_of({}), {}, silent)
    assert archive.read_bytes() == before


def test_a_disk_that_is_full_leaves_no_archive_and_no_draft(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(hashlib.shake_128(b"").digest(300_000))
    folder = tmp_path / "backups"
    folder.mkdir()
    manifest = manifest_of({CATALOG: source})
    with files_of_at_most(100_000), pytest.raises(StoreUnavailable):
        pack(folder / "one.tar.gz", manifest, {CATALOG: source}, silent)
    assert [*folder.iterdir()] == []


def test_a_disk_that_is_full_at_unpacking_is_not_taken_for_a_damaged_archive(tmp_path: Path) -> None:
    source, archive = tmp_path / "file", tmp_path / "one.tar.gz"
    source.write_bytes(bytes(300_000))
    pack(archive, manifest_of({CATALOG: source}), {CATALOG: source}, silent)
    with files_of_at_most(100_000), pytest.raises(StoreUnavailable):
        unpack(archive, {CATALOG: tmp_path / "out" / "file"}, silent)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As a disk without room for more: writing fails from there on."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
