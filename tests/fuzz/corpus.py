"""The corpus: files of inputs by target. What once broke a promise is kept there for good."""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def inputs(target: str) -> dict[str, bytes]:
    """Every input of a target, by the name of its file."""
    return {path.name: path.read_bytes() for path in sorted((FOLDER / target).iterdir())}


def keep(target: str, data: bytes) -> Path:
    """Add what broke a promise."""
    path = FOLDER / target / f"broke-{hashlib.sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    return path
