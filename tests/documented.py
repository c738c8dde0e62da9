"""What a page of the documentation tells its reader to type, and what it says that they will see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(?:^|\s+)# (.*)$")
_PROMISE = "→ "
"""What begins with it, in the comment behind a command, is what the command answers."""
_VARIES = re.compile(
    r"(?P<token>\bE[A-Za-z0-9_-]{12,}…)|(?P<gap>…)|(?P<id>[0-9a-f]{8}-[0-9a-f-]{27})|(?P<day>\d{4}-\d\d-\d\d)"
    r"|(?P<time>\d\d:\d\d:\d\d)|(?P<took>\b[\d.]+ (?:ms|s)\b)|(?P<size>\b\d+ bytes)|(?P<space>\s+)"
)
_MAY_BE = {
    "token": r"[\w-]{40,}",
    "gap": ".*",
    "id": r"[0-9a-f]{8}-[0-9a-f-]{27}",
    "day": r"\d{4}-\d\d-\d\d",
    "time": r"\d\d:\d\d:\d\d",
    "took": r"[\d.]+ (?:min|ms|s)(?: \d+ s)?",
    "size": r"\d+ bytes",
    "space": r"\s+",
}
"""What is another one each time, and what it may be instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """One command of a page, and the lines that the page shows of its answer."""

    command: str
    shown: tuple[str, ...]


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return _FENCE.findall(page.read_text())


def typed(page: Path) -> list[Typed]:
    """Every command of a page, in its order.

    Those of `sh` blocks; a block without a language behind one is what its last command answers. And the `$ ` lines of
    `console` blocks, with the lines below each.
    """
    found: list[Typed] = []
    before = ""
    for language, text in blocks(page):
        if language == "sh":
            found += _of_shell(text)
        elif language == "console":
            found += _of_console(text)
        elif not language and before == "sh":
            last = found.pop()
            found.append(Typed(command=last.command, shown=(*last.shown, *text.splitlines())))
        before = language
    return found


def missing(shown: tuple[str, ...], answer: str) -> str | None:
    """The first of those lines that is not in the answer, where they come in their order; None: all are there.

    Times, days, ids and tokens may be others. `…` stands for anything, and a line of nothing else for lines.
    """
    at = 0
    for line in shown:
        if not line.strip(" …│"):
            continue
        found = re.compile(_pattern(line.strip())).search(answer, at)
        if found is None:
            return line
        at = found.end()
    return None


def _pattern(line: str) -> str:
    parts, at = [], 0
    for varying in _VARIES.finditer(line):
        parts += [re.escape(line[at : varying.start()]), _MAY_BE[str(varying.lastgroup)]]
        at = varying.end()
    return "".join([*parts, re.escape(line[at:])])


def _of_shell(text: str) -> Iterator[Typed]:
    for line in text.replace("\\\n", " ").splitlines():
        comment = _COMMENT.search(line)
        command = line[: comment.start()].strip() if comment else line.strip()
        said = comment.group(1) if comment else ""
        if command:
            promised = (said.removeprefix(_PROMISE),) if said.startswith(_PROMISE) else ()
            yield Typed(command=command, shown=promised)


def _of_console(text: str) -> Iterator[Typed]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.rstrip().splitlines()
        yield Typed(command=command, shown=tuple(shown))
