"""What the log says of a page that failed: the kinds of error and where they were, and nothing that they say."""

import traceback
from collections.abc import Iterator
from pathlib import Path

FRAMES = 12


def trace(error: BaseException) -> list[str]:
    """The traceback, the first cause first: `links.py:88 show`, then the class. Its messages may quote the request: they are left out."""
    return [line for each in reversed(list(_chain(error))) for line in _lines(each)]


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    known: set[int] = set()
    while seen is not None and id(seen) not in known:
        known.add(id(seen))
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _lines(error: BaseException) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__)[-FRAMES:]:
        yield f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
    yield type(error).__name__
