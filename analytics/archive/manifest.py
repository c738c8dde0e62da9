"""manifest.json: what the archive holds, and of which state of SQL it is."""

from datetime import date
from pathlib import Path

import msgspec

from analytics.archive.tables import SCHEMA
from backends.sql.archived import Dataset
from domain.errors import ConfigError

FORMAT = 1


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One file. digest: of its rows and columns. bytes: of the file. made_at: UTC, RFC 3339. erased: clicks without traits."""

    rows: int
    bytes: int
    digest: str
    made_at: str
    erased: int = 0


class Manifest(msgspec.Struct, kw_only=True):
    """The whole archive.

    erasure: up to which line of the audit every erasure has reached it. schema: SCHEMA of the columns; with_owners: whether
    there are digests of owners; what differs from the next run's makes every day be written anew.
    """

    zone: str
    with_owners: bool
    format: int = FORMAT
    schema: int = SCHEMA
    erasure: int = 0
    tables: dict[Dataset, dict[date, Day]] = msgspec.field(
        default_factory=lambda: {"clicks": {}, "starts": {}, "conversions": {}}
    )


def read_manifest(path: Path) -> Manifest | None:
    """The manifest, None if there is none. ConfigError for one that this Trilha does not understand."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        raise ConfigError(
            f"{path} is no manifest of an archive. Give another folder, or delete this one"
        ) from None
    if found.format != FORMAT:
        raise ConfigError(f"{path} is of format {found.format}, and this Trilha knows {FORMAT}")
    return found


def manifest_text(manifest: Manifest) -> bytes:
    """The file, with days in their order."""
    manifest.tables = {name: dict(sorted(days.items())) for name, days in manifest.tables.items()}
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
