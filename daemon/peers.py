"""The serving processes of one parent share a listener: whoever is asked for metrics answers for all of them.

Each shows its own metrics on a unix socket in a folder that only they can enter, and reads the others' from there. The
label `process` (a process id) keeps them apart: a sum would fall when a process is replaced, and look like a restart of all.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from runtime.logs import get_logger

SUFFIX = ".metrics"
ASK_SECONDS = 2.0
LARGEST_PAGE = 1024 * 1024
_log = get_logger("trilha.peers")


class Peers:
    """The metrics of this process, and of those beside it."""

    def __init__(self, folder: Path, own: Callable[[], bytes]) -> None:
        """`folder`: one of the parent's, 0700. `own`: the text that Prometheus reads of this process."""
        self._folder = folder
        self._own = own
        self._name = str(os.getpid())
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Let the others read ours. Where that fails, only ours are missing from what they show."""
        draft = self._folder / (self._name + ".new")
        try:
            draft.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._show, draft)
            # Found by the others only now that it listens: what refuses them is of a process that was killed, and goes.
            draft.replace(self._folder / (self._name + SUFFIX))
        except OSError as error:
            _log.warning("the other processes cannot read our metrics", error=str(error))

    async def render(self) -> bytes:
        """All metrics, each with the process that it is of."""
        names = [path.name.removesuffix(SUFFIX) for path in self._folder.glob("*" + SUFFIX)]
        others = [name for name in names if name != self._name]
        pages = await asyncio.gather(*(self._ask(name) for name in others))
        found = {name: page for name, page in zip(others, pages, strict=True) if page is not None}
        return merged({self._name: self._own(), **found})

    async def close(self) -> None:
        """Take ours away."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        with suppress(OSError):
            (self._folder / (self._name + SUFFIX)).unlink(missing_ok=True)

    async def _show(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(self._own())
            await writer.drain()
        writer.close()

    async def _ask(self, name: str) -> bytes | None:
        path = self._folder / (name + SUFFIX)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    return await _whole(reader)
                finally:
                    writer.close()
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)  # of a process that was killed
        except (OSError, TimeoutError, ValueError):
            _log.warning("the metrics of a process cannot be read", process=name)
        return None


def merged(pages: Mapping[str, bytes]) -> bytes:
    """Pages in Prometheus' text format as one: each family once, its samples with a label `process` in front."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    for process, page in pages.items():
        comments: list[str] = []
        samples: list[str] = []
        for line in page.decode().splitlines():
            if line.startswith("# HELP "):
                name = line.split(" ", 3)[2]
                (comments, samples) = families.setdefault(name, ([], []))
            if line.startswith("#"):
                if line not in comments:
                    comments.append(line)
            elif line:
                samples.append(_labelled(line, process))
    lines = [line for comments, samples in families.values() for line in (*comments, *samples)]
    return ("\n".join(lines) + "\n").encode()


async def _whole(reader: asyncio.StreamReader) -> bytes:
    page = b""
    while piece := await reader.read(65536):
        page += piece
        if len(page) > LARGEST_PAGE:
            raise ValueError
    return page


def _labelled(sample: str, process: str) -> str:
    label = f'process="{process}"'
    name, brace, rest = sample.partition("{")
    if brace:
        return f"{name}{{{label},{rest}"
    name, _, value = sample.partition(" ")
    return f"{name}{{{label}}} {value}"
