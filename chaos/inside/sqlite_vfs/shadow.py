"""What a power cut would leave of one file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from chaos.inside.sqlite_vfs.layout import OK


@dataclass(slots=True)
class Shadow:
    """What the disk has of a file, and what was written since. `content` is None before the first fsync."""

    inode: int
    content: bytearray | None = None
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sync(self, path: Path, call: Callable[[], int], *, forgetful: bool = False) -> int:
        """What was written before fsync began is on disk when it has succeeded."""
        with self.lock:
            before = len(self.pending)
            code = call()
            if code == OK:
                self._apply(before, path)
            elif forgetful:
                del self.pending[:before]
        return code

    def _apply(self, count: int, path: Path) -> None:
        content = bytearray() if self.content is None else self.content
        for offset, data in self.pending[:count]:
            if data is None:
                del content[offset:]
                continue
            _grow(content, offset)
            content[offset : offset + len(data)] = data
        del self.pending[:count]
        with suppress(FileNotFoundError):  # SQLite also grows files without writing (SIZE_HINT under mmap)
            _grow(content, path.stat().st_size)
        self.content = content


def _grow(content: bytearray, size: int) -> None:
    if size > len(content):
        content.extend(bytes(size - len(content)))
