"""trilha backup: everything that this machine has, in one archive, while everything runs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from getpass import getpass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

from backends.backup_archive import Manifest, Progress, verify
from cli.common import CLOCK, Json, local_time, read_secret, run, settings, show
from domain.errors import ConfigError
from privacy.keyring import Keyring
from privacy.lasting_keys import fingerprint, sealed_copy
from runtime.lifecycle import give_way
from runtime.settings import Settings

WHERE_IT_IS = "A file with the passphrase, 0600; asked for where there is none."


def backup(
    target: Annotated[str, typer.Argument(metavar="FILE", help="The archive to write, or a folder for it.")],
    verify_only: Annotated[
        bool, typer.Option("--verify", help="Write nothing: say whether that archive is whole.")
    ] = False,
    with_keys: Annotated[
        Path | None, typer.Option(help="Write a sealed copy of the lasting keys too, into this file.")
    ] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help=WHERE_IT_IS)] = None,
    pg_dump: Annotated[str | None, typer.Option(help="PostgreSQL's pg_dump, if not the shell's.")] = None,
    as_json: Json = False,
) -> None:
    """Back up SQL and this machine's spools while everything runs. Key ring and other secrets are never in it."""
    if verify_only:
        with progress_of("verifying") as progress:
            found = verify(Path(target), progress)
        _show(settings(), Path(target), found, as_json=as_json)
        return
    from backends.backup import back_up

    give_way()
    given, at_ms = settings(), CLOCK.now_ms()
    archive = _archive(target, at_ms)
    ring = Keyring(given.secrets, CLOCK)
    copy = _sealed(ring, with_keys, passphrase_file) if with_keys else ""
    with progress_of("backup") as progress:
        made = run(back_up(_source(given, ring, at_ms, pg_dump), archive, progress))
    if with_keys:
        _write_new(with_keys, copy)
    _show(given, archive, made, as_json=as_json)


def _archive(said: str, at_ms: int) -> Path:
    """The file to write. A folder that is not there is a mistake, and no name for a file."""
    target = Path(said)
    if said.endswith("/") and not target.is_dir():
        raise ConfigError(f"there is no folder {said}. Make it with: mkdir -p {said}")
    if target.is_dir():
        return target / f"trilha-{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%SZ}.tar.gz"
    return target


def _source(given: Settings, ring: Keyring, at_ms: int, pg_dump: str | None) -> Any:
    from backends.backup import Source

    return Source(
        sql_url=given.sql,
        spools=given.spools,
        catalog=given.catalog_file,
        at_ms=at_ms,
        trilha=trilha_version(),
        ring=fingerprint(ring.keys),
        settings=tuple(sorted(f"TRILHA_{name.upper()}" for name in given.model_fields_set)),
        pg_dump=pg_dump,
    )


def trilha_version() -> str:
    """Of this Trilha."""
    try:
        return version("trilha")
    except PackageNotFoundError:
        return "unknown"


def passphrase_of(file: Path | None, *, twice: bool) -> str:
    """The passphrase: of its file, or asked for at a terminal, twice where a typing error would lock something up."""
    if file is not None:
        return read_secret(str(file), "passphrase").strip("\r\n")
    if not sys.stdin.isatty():
        raise ConfigError("a passphrase is asked for at a terminal. Elsewhere give --passphrase-file FILE")
    given = getpass("Passphrase: ")
    if twice and getpass("Once more: ") != given:
        raise ConfigError("the two differ")
    return given


def _sealed(ring: Keyring, target: Path, passphrase_file: Path | None) -> str:
    """Before anything is copied: a passphrase that is too short must not cost an hour."""
    if target.exists():
        raise ConfigError(f"{target} exists already; a copy of keys never overwrites anything")
    return sealed_copy(ring.keys, passphrase_of(passphrase_file, twice=True))


def _write_new(target: Path, text: str) -> None:
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def progress_of(said: str) -> Iterator[Progress]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(said)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=max(total, 1)
        )


def _show(given: Settings, target: Path, found: Manifest, *, as_json: bool) -> None:
    size = target.stat().st_size
    spools = sum(name.startswith("spool/") for name in found.names)
    aside = sum(name.startswith("aside/") for name in found.names)
    value = asdict(found) | {"file": str(target), "bytes": size, "spools": spools, "aside": aside}
    rows = ", ".join(f"{name} {count}" for name, count in found.counts.items())
    lines = [
        f"{target}: {size} bytes, whole",
        f"taken     {local_time(found.at_ms, given)}, by Trilha {found.trilha}",
        f"SQL       {found.engine}, schema {found.schema}: {rows}",
        f"spools    {spools} with something in them; {aside} records set aside",
        f"key ring  {found.ring}; not in it: keep a copy apart",
    ]
    show(value, as_json=as_json, text="\n".join(lines))
