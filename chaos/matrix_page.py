"""docs/drills.md, made of the fault matrix and of what the experiments say of themselves: `python -m chaos.matrix_page`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from chaos.catalogue import Experiment, experiments
from chaos.matrix import MATRIX, Row, tier_of

PAGE = Path(__file__).parents[1] / "docs" / "drills.md"
MARKER = (
    "<!-- Below: rendered by `python -m chaos.matrix_page` from chaos/matrix.py and chaos/experiments/. -->"
)


def covering(drills: Iterable[Experiment]) -> dict[str, list[str]]:
    """The drills that cover each fault, by its id."""
    found: dict[str, list[str]] = {row.id: [] for row in MATRIX}
    for drill in drills:
        for row_id in drill.covers:
            found.setdefault(row_id, []).append(drill.name)
    return found


def page(before: str, drills: Iterable[Experiment]) -> str:
    """The page, with everything below its marker made anew."""
    drills = list(drills)
    head = before.partition(MARKER)[0]
    return head + MARKER + "\n\n" + "\n".join([*_matrix(covering(drills)), *_drills(drills)])


def _matrix(covered: dict[str, list[str]]) -> Iterator[str]:
    yield "## The fault matrix\n"
    for tier, rows in groupby(MATRIX, key=lambda row: tier_of(row.id)):
        yield f"### {tier}\n\n| fault | what must happen | drill |\n|---|---|---|"
        yield from (_row(row, covered[row.id]) for row in rows)
        yield ""


def _row(row: Row, drills: list[str]) -> str:
    shown = ", ".join(f"[{name}](#{name})" for name in drills) or f"none: {row.absent}"
    return f"| {row.fault} | {row.expected} | {shown} |"


def _drills(drills: list[Experiment]) -> Iterator[str]:
    yield "## The drills\n"
    for drill in drills:
        needs = f" Needs {' and '.join(drill.needs)}." if drill.needs else ""
        fast = " Part of the fast subset." if drill.fast else ""
        yield f"### {drill.name}\n\n**{drill.title}.** {drill.about}{needs}{fast}\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text() if PAGE.exists() else "", experiments()))


if __name__ == "__main__":
    main()
