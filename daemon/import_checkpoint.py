"""How far an import is, in HOME_DIR/imports: which row was the last, and how rows are read.

It makes a resumed import quick, not right: without it all rows are read again, which changes nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.sql.import_source import Key
from domain.errors import ConfigError
from privacy.secret_file import replace_text

FOLDER = "imports"


class Checkpoint:
    """One import's file. `given` is how its rows are read: otherwise read, they would be other clicks.

    `keep_last` False: the rows' ids are people's, and none is kept.
    """

    def __init__(
        self, home: Path, *, source: str, table: str, given: Mapping[str, Any], keep_last: bool
    ) -> None:
        name = hashlib.sha256(f"{source}\0{table}".encode()).hexdigest()[:16]
        self.path = home / FOLDER / f"{name}.json"
        self._given = dict(given)
        self._keep_last = keep_last

    def last(self) -> Key | None:
        """After which row it goes on; None: from the first one. ConfigError when it was begun in another way."""
        held = self._held()
        if held is None:
            return None
        before = held.get("given")
        differs = sorted(name for name, value in self._given.items() if (before or {}).get(name) != value)
        if not isinstance(before, dict) or differs:
            raise ConfigError(
                f"this source was imported with another {', '.join(differs) or 'way of reading it'}, and would come in twice. "
                f"Give what was given then; or delete {self.path} if nothing of it was imported"
            )
        last = held.get("last")
        return last if isinstance(last, int | str) and not isinstance(last, bool) else None

    def reached(self, key: Key | None) -> None:
        """All rows up to that one are in SQL; None: all there are."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        last = key if self._keep_last else None
        replace_text(self.path, json.dumps({"given": self._given, "last": last}) + "\n")

    def _held(self) -> dict[str, Any] | None:
        try:
            held = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}
        return held if isinstance(held, dict) else {}
