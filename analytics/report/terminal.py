"""The report in a terminal: readable at 100 columns."""

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from analytics.report import words
from analytics.report.notes import notes
from analytics.report.report import Report
from analytics.report.table import Cell, Table
from analytics.report.tables import tables

BAR = 20
NARROWEST = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"


def show(console: Console, report: Report) -> None:
    """Print all of it."""
    of = f"link {report.slug}" if report.slug else "all links"
    console.print(Text.assemble(("Trilha report", "bold"), f"  {words.span(report.period)}, {of}"))
    for note in notes(report):
        console.print(Text(note.text, style="yellow" if note.warns else "dim"))
    for table in tables(report):
        console.print()
        console.print(_shown(table, console.width))


def _shown(table: Table, width: int) -> RenderableType:
    title = Text(table.title, style="bold")
    if not table.rows:
        return Text.assemble(title, (f": {table.empty}", "dim"))
    parts: list[RenderableType] = [title, _listed(table) if table.headline else _grid(table, width)]
    if table.about:
        parts.append(Text(table.about, style="dim"))
    if table.advice:
        parts.append(Text(f"what to do: {table.advice}", style="yellow"))
    if len(table.rows) > table.short:
        parts.append(
            Text(f"… and {len(table.rows) - table.short} more: --json, --csv or --html", style="dim")
        )
    return Group(*parts)


def _grid(table: Table, width: int) -> RichTable:
    room = _room(table, width)
    grid = RichTable(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for each in table.headings:
        grid.add_column(
            each.title,
            justify="right" if each.numeric else "left",
            no_wrap=each.numeric or each.cropped,
            overflow="ellipsis" if each.cropped else "fold",
            max_width=room if each.cropped else None,
        )
    if table.bar:
        grid.add_column("", no_wrap=True)
    for row in table.rows[: table.short]:
        grid.add_row(*(Text(said) for _, said in table.seen(row)), *_bar(table, row))
    return grid


def _room(table: Table, width: int) -> int:
    """How wide its cropped columns may be, each, so that no other column is cut."""
    rows = [table.seen(row) for row in table.rows[: table.short]]
    taken, cropped = BAR + 2 if table.bar else 0, 0
    for at, each in enumerate(table.headings):
        cropped += each.cropped
        if not each.cropped:
            taken += 2 + max(len(each.title), *(len(row[at][1]) for row in rows))
    return max(NARROWEST, (width - taken) // max(cropped, 1) - 2)


def _bar(table: Table, row: Sequence[Cell]) -> Iterator[Text]:
    part = table.part_of_bar(row)
    if part is not None:
        full, rest = divmod(round(part * BAR * 8), 8)
        yield Text("█" * full + _EIGHTHS[rest].strip(), style="blue")


def _listed(table: Table) -> RenderableType:
    return Group(*(line for row in table.rows[: table.short] for line in _lines(table, row)))


def _lines(table: Table, row: Sequence[Cell]) -> Iterator[RenderableType]:
    """The headline, and the rest of the row in two columns below it."""
    cells = table.seen(row)
    yield Text("  ".join(said for _, said in cells[: table.headline]), style="cyan")
    below = RichTable.grid(padding=(0, 2, 0, 0))
    below.add_column(style="dim", no_wrap=True)
    below.add_column(overflow="fold")
    for each, said in cells[table.headline :]:
        if said != words.NOTHING:
            below.add_row(Text(each.title), Text(said))
    yield Padding(below, (0, 0, 0, 2))
