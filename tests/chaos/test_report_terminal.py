"""The report in a terminal, wide and narrow; the live line; and the summary in Markdown."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from chaos.report.compare import compare
from chaos.report.live import Live
from chaos.report.markdown import summary
from chaos.report.result import Report
from chaos.report.terminal import show
from tests.chaos.sample_report import named, only, report_of, sample

replace = msgspec.structs.replace


def console(width: int = 140, *, terminal: bool = False) -> Console:
    return Console(
        file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, legacy_windows=False
    )


def output(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def shown(report: Report, width: int = 140, previous: Report | None = None) -> str:
    to = console(width)
    show(to, report, None if previous is None else compare(previous, report))
    return output(to)


def test_a_row_has_the_figures_of_its_drill():
    row = next(line for line in shown(sample()).splitlines() if line.startswith("disk-eio"))
    assert " ".join(row.split()) == "disk-eio ✗ broken ✗ 20 6.6 ms 84 ms 132 ms 185 ms ✗ 3 32 ms 2.1 s 3.8 s"


def test_visitors_who_were_not_sent_on_are_counted_in_every_phase():
    drill = named("disk-eio")
    before = replace(drill.phases[0], non_302=2)
    row = shown(report_of(replace(drill, phases=(before, *drill.phases[1:])))).splitlines()[1]
    assert "✗ 22 " in row


@pytest.mark.parametrize("width", [40, 60, 80, 110, 140, 200])
def test_every_drill_verdict_and_reason_is_to_be_read_at_any_width(width):
    said = shown(sample(), width)
    words = " ".join(said.split())
    for drill in sample().drills:
        assert drill.name in words
        assert all(reason in words for reason in drill.reasons)
    assert words.count("✓ held") == 7
    assert max(map(len, said.splitlines())) <= width
    assert "…" not in said


def test_broken_drills_come_first_and_the_sum_last():
    lines = shown(sample()).splitlines()
    assert lines[1].startswith("disk-eio")
    last = " ".join(shown(sample(), 200).splitlines()[-1].split())
    assert last.startswith(
        "✗ broken 1 of 8 drills did not keep what was promised. 3 acknowledged clicks were lost"
    )
    assert last.endswith("(7 held, 1 broken, 1 failed, 2 skipped)")


def test_a_report_without_drills_says_that_it_shows_nothing():
    assert shown(report_of()) == "– untested  No drill was run: this report shows nothing. (no drills)\n"


def test_what_has_changed_is_shown_with_a_sign_when_it_is_worse():
    said = shown(sample(), 140, only("redis-kill", "disk-torn"))
    assert "Changed since the previous report:" in said
    assert "  disk-eio  new, broken" in said
    assert "✗ disk-eio  held → broken" in shown(
        sample(), 140, report_of(replace(named("disk-eio"), verdict="held"))
    )
    assert "Nothing has changed since the previous report." in shown(sample(), 140, sample())


def test_words_in_square_brackets_are_words():
    drill = replace(named("disk-torn"), reasons=("needs [bold]root[/bold]",), name="[red]x")
    for width in (60, 140):
        assert "needs [bold]root[/bold]" in shown(report_of(drill), width)
        assert "[red]x" in shown(report_of(drill), width)


def test_a_log_gets_a_line_for_everything_said():
    to = console(40)
    with Live(to) as live:
        live.started("redis-kill", 3, 12)
        live.said("Redis [pid 7] is killed, and more is said of it than fits a line")
        live.ended(named("redis-kill"))
        live.started("disk-torn", 4, 12)
        live.ended(named("disk-torn"))
    assert output(to).splitlines() == [
        "[ 3/12] redis-kill",
        "  Redis [pid 7] is killed, and more is said of it than fits a line",
        "✓ held  redis-kill  27 s  1,760 visitors in the fault  slowest 23 ms",
        "[ 4/12] disk-torn",
        "– skipped  disk-torn",
        "    needs root: it mounts a file system of its own",
    ]


def test_a_terminal_keeps_the_verdicts_and_gets_its_cursor_back():
    to = console(120, terminal=True)
    with Live(to) as live:
        live.started("redis-kill", 1, 2)
        live.said("[bold] is a word")
        live.ended(named("redis-kill"))
        live.started("disk-eio", 2, 2)
        live.said("not to its end")
    assert "✓ held  redis-kill" in output(to)
    assert output(to).rindex("\x1b[?25h") > output(to).rindex("\x1b[?25l")


def test_markdown_has_a_row_per_drill_and_a_line_per_reason():
    said = summary(sample())
    assert said.startswith("**Broken.** 1 of 8 drills did not keep what was promised.")
    assert "| Redis is killed | held | 0 | 2.3 ms | 10 ms | 16 ms | 23 ms | 0 | 32 ms | 2.1 s | – |" in said
    assert (
        "- The tail of the spool is torn (skipped): needs root: it mounts a file system of its own\n" in said
    )
    rows = [line for line in said.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(sample().drills)
    assert {row.count("|") for row in rows} == {12}


def test_markdown_of_nothing_is_a_sentence():
    assert summary(report_of()) == (
        "**Untested.** No drill was run: this report shows nothing.\n\nNo drills.\n"
    )


def test_markdown_is_not_made_of_a_drills_words():
    drill = replace(named("disk-torn"), title="a|b*c\nd<script>", reasons=("[x](y)",))
    said = summary(report_of(drill))
    assert "| a\\|b\\*c d\\<script\\> | **skipped** |" in said
    assert "\\[x\\](y)" in said
