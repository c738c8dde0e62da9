"""The report as a short table in Markdown, for the docs."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.report.columns import COLUMNS, NOTE
from chaos.report.figures import totals
from chaos.report.result import Drill, Report
from chaos.report.words import capital, headline, overall, reach, tally, worst_first

_UNSAFE = str.maketrans({each: f"\\{each}" for each in "\\|`*_<>[]"} | {"\n": " "})


def summary(report: Report) -> str:
    """A sentence, a row per drill with the latencies during its fault, and the reasons of those that did not hold."""
    drills = worst_first(report.drills)
    blocks = [
        f"**{capital(overall(report))}.** {headline(report)}",
        f"{capital(tally(report))}. {reach(totals(report))}".strip(),
        *([_table(drills), NOTE] if drills else []),
        "\n".join(_reason(drill) for drill in drills if drill.reasons),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def escaped(text: str) -> str:
    """The text with what Markdown would take for markup written out."""
    return text.translate(_UNSAFE)


def _table(drills: Iterable[Drill]) -> str:
    heads = _row(("Drill", "Verdict", *(capital(column.head) for column in COLUMNS)))
    rule = _row(("---", "---", *("--:" for _ in COLUMNS)))
    return "\n".join([heads, rule, *map(_drill, drills)])


def _drill(drill: Drill) -> str:
    verdict = drill.verdict if drill.verdict == "held" else f"**{drill.verdict}**"
    return _row((escaped(drill.title), verdict, *(column.cell(drill) for column in COLUMNS)))


def _reason(drill: Drill) -> str:
    return f"- {escaped(drill.title)} ({drill.verdict}): {escaped('; '.join(drill.reasons))}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
