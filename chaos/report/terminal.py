"""The report in a terminal: a table where there is room, two lines per drill where there is not, and the sum of it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaos.report.columns import COLUMNS, NOTE, Column
from chaos.report.compare import Difference, sentence, worse
from chaos.report.numbers import NONE
from chaos.report.result import Drill, Report
from chaos.report.words import MARKS, headline, overall, tally, worst_first

WIDE = 110
STYLES = {"held": "green", "broken": "bold red", "skipped": "dim", "failed": "yellow", "untested": "dim"}


def show(console: Console, report: Report, differences: Sequence[Difference] | None = None) -> None:
    """Print the drills, worst first, what has changed if that was asked for, and one line that sums it up."""
    drills = worst_first(report.drills)
    if drills:
        console.print(_table(drills) if console.width >= WIDE else _list(drills))
        console.print(Text(NOTE, style="dim"))
    if differences is not None:
        console.print(_changes(differences))
    console.print(summary(report))


def summary(report: Report) -> Text:
    """Verdict, sentence and tally in one line."""
    verdict = overall(report)
    return Text.assemble(said(verdict), "  ", headline(report), " ", (f"({tally(report)})", "dim"))


def said(verdict: str) -> Text:
    """The verdict with its sign, so that it needs no colour."""
    return Text(f"{MARKS[verdict]} {verdict}", style=STYLES[verdict])


def _table(drills: Sequence[Drill]) -> Group:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("drill", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column.head, justify="right", no_wrap=True)
    for drill in drills:
        table.add_row(Text(drill.name), said(drill.verdict), *(_cell(column, drill) for column in COLUMNS))
    return Group(table, *(_why(drill) for drill in drills if drill.reasons))


def _why(drill: Drill) -> Text:
    sign = (f"{MARKS[drill.verdict]} {drill.name}: ", STYLES[drill.verdict])
    return Text.assemble(sign, "; ".join(drill.reasons))


def _list(drills: Sequence[Drill]) -> Group:
    return Group(*(line for drill in drills for line in _lines(drill)))


def _lines(drill: Drill) -> list[RenderableType]:
    """The drill in a line, its figures in as many as they take, and a line for each reason."""
    known = [column for column in COLUMNS if column.cell(drill) != NONE]
    figures = [Text.assemble((f"{column.head} ", "dim"), _cell(column, drill)) for column in known]
    reasons = [Text(reason, style=STYLES[drill.verdict]) for reason in drill.reasons]
    below: list[RenderableType] = [*([Columns(figures, padding=(0, 2))] if figures else []), *reasons]
    return [Text.assemble(said(drill.verdict), "  ", drill.name), *map(_indented, below)]


def _cell(column: Column, drill: Drill) -> Text:
    if column.wrong(drill):
        return Text(f"{MARKS['broken']} {column.cell(drill)}", style=STYLES["broken"])
    return Text(column.cell(drill))


def _changes(differences: Sequence[Difference]) -> RenderableType:
    if not differences:
        return Text("Nothing has changed since the previous report.", style="dim")
    return Group(Text("Changed since the previous report:", style="bold"), *map(_change, differences))


def _change(difference: Difference) -> RenderableType:
    style = STYLES["broken"] if worse(difference) else ""
    sign = f"{MARKS['broken']} " if worse(difference) else "  "
    return Text.assemble((sign, style), difference.drill, "  ", (sentence(difference), style))


def _indented(line: RenderableType) -> RenderableType:
    return Padding(line, (0, 0, 0, 2))
