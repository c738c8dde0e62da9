"""What the crowd was told: one JSON line an answer, written as it comes, read by the checker and by the report."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

CLICK, START = "click", "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicked:
    """What became of one visit. `at`: monotonic seconds of the moment it was meant for; `ms`: from then to the answer.

    `status` is 0 when there was no answer, and `trouble` says why (refused, reset, timeout, garbled). `late_ms`: how long
    after its moment the generator itself came to it; it is part of `ms`.
    """

    number: int
    at: float
    ms: float
    late_ms: float
    status: int
    trouble: str = ""
    token: str = ""

    @property
    def redirected(self) -> bool:
        """Sent on with a token."""
        return self.status == 302 and bool(self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What a person who pressed START was told. `owner` and `state` as the API said; status 0: nobody answered."""

    at: float
    ms: float
    token: str
    person: int
    status: int
    owner: bool = False
    state: str = ""

    @classmethod
    def now(cls, at: float, token: str, person: int, status: int, said: Mapping[str, Any]) -> Started:
        """Told just now what the API has said (empty: nothing), of a start that was sent at that monotonic second."""
        return cls(
            at=at,
            ms=round((time.monotonic() - at) * 1000, 3),
            token=token,
            person=person,
            status=status,
            owner=bool(said.get("owner")),
            state=str(said.get("state", "")),
        )


@dataclass(slots=True)
class Told:
    """Everything that the crowd was told, in the order of the answers."""

    clicks: list[Clicked] = field(default_factory=list)
    starts: list[Started] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Told:
        """Of the file so far. A last line that is only half written is not there yet."""
        told = cls()
        for kind, fields in _lines(path):
            if kind == CLICK:
                told.clicks.append(Clicked(**fields))
            else:
                told.starts.append(Started(**fields))
        return told


class Tail:
    """Reads a file that is being written: each answer once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def clicks(self) -> list[Clicked]:
        """The clicks that have come since the last time."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read)
            whole, end, _ = file.read().rpartition(b"\n")
        self._read += len(whole + end)
        told = [json.loads(line) for line in whole.splitlines()]
        return [Clicked(**fields) for kind, fields in told if kind == CLICK]


class Notebook:
    """Writes answers down; every line is handed to the kernel at once, so that it outlives this process."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", buffering=1)

    def clicked(self, answer: Clicked) -> None:
        """Keep what a visitor was told."""
        self._write(CLICK, answer)

    def started(self, answer: Started) -> None:
        """Keep what a starter was told."""
        self._write(START, answer)

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()

    def _write(self, kind: str, answer: Clicked | Started) -> None:
        fields = {name: getattr(answer, name) for name in answer.__slots__}
        self._file.write(json.dumps([kind, fields], separators=(",", ":")) + "\n")


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):
                kind, fields = json.loads(line)
                yield kind, fields
