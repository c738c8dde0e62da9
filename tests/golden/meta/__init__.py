"""Events as Meta gets them: one file for each case. `python -m tests.golden.meta` writes them anew."""

from __future__ import annotations

from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent


def body_in(name: str) -> bytes:
    """The body of a case as it is sent; its file is the same with line ends and spaces, for readers."""
    return msgspec.json.format((FOLDER / f"{name}.json").read_bytes(), indent=-1)


def write(name: str, body: bytes) -> None:
    (FOLDER / f"{name}.json").write_bytes(msgspec.json.format(body, indent=2) + b"\n")


def names() -> set[str]:
    return {path.stem for path in FOLDER.glob("*.json")}
