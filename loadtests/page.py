"""A run as one HTML page that fetches nothing: style, charts and tables are all in it. Light and dark, down to a phone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from loadtests.charts import Band, Line, chart
from loadtests.run import RunReport

STYLE = Path(__file__).with_name("page.css")
TONES = {"held": "good", "owner_only": "fair"}
PHASE_NAMES = {"normal": "normal", "spike": "spike"}


def html_page(report: RunReport) -> str:
    """The page."""
    sections = [
        _head(report),
        _tiles(report),
        _section("Thresholds", _checks(report)),
        _section("Over time", _charts(report)),
        _section("By request", _names(report)),
        *([_section("What went wrong", _reasons(report))] if report.seen["reasons"] else []),
        _section("The books", _books(report)),
        _section("The generator and the machine", _machine(report)),
    ]
    title = f"{report.shape.name}, {report.mix}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Load: {escape(title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def _head(report: RunReport) -> str:
    tone = TONES.get(report.level, "bad")
    size = f"{report.scale:g} of its rate, {report.shape.seconds:,.0f} s (1/{report.shorten:g} of its time)"
    return (
        f"<header><p class=kind>Load run</p><h1>{escape(report.shape.name)} <small>{escape(report.mix)} mix</small></h1>"
        f"<p>{escape(report.shape.about)}; at {escape(size)}</p>"
        f'<p class="verdict {tone}">{escape(report.verdict)}</p></header>'
    )


def _tiles(report: RunReport) -> str:
    whole = report.seen["all"]
    seconds = report.shape.seconds
    tiles = [
        ("requests", f"{whole['requests']:,}"),
        ("a second, mean", f"{whole['requests'] / seconds:,.0f}"),
        ("arrivals a second, peak", f"{report.shape.peak:,.0f}"),
        ("p50", ms(whole["p50_ms"])),
        ("p95", ms(whole["p95_ms"])),
        ("p99", ms(whole["p99_ms"])),
        ("errors", f"{whole['errors']:,}"),
    ]
    return (
        f"<ul class=tiles>{''.join(f'<li><b>{value}</b>{escape(name)}</li>' for name, value in tiles)}</ul>"
    )


def _checks(report: RunReport) -> str:
    rows = [
        [check.whose, check.what, check.limit, check.seen, "held" if check.held else "missed"]
        for check in report.checks
    ]
    late = ms(report.seen["late"]["p99_ms"])
    note = (
        "<p class=note>Latency counts from the moment that each arrival was due, so the generator's own lateness "
        f"(p99 {late}) is part of it.</p>"
    )
    return _table(["whose", "what", "limit", "seen", ""], rows) + note


def _charts(report: RunReport) -> str:
    seen = report.seen["seconds"]
    seconds = [row["second"] for row in seen]
    bands = _bands(seen)
    rate = chart(
        "Rate, a second",
        seconds,
        [
            Line(name="requests", style="c1", values=[row["rate"] for row in seen], area=True),
            Line(name="arrivals planned", style="c2", values=[row["planned"] for row in seen]),
            Line(
                name="errors",
                style="c4",
                values=[row["errors"] / report.seen["bin_seconds"] or None for row in seen],
            ),
        ],
        unit="",
        bands=bands,
    )
    latency = chart(
        "Latency from the moment due, ms (logarithmic)",
        seconds,
        [
            Line(name="p50", style="c1", values=[row["p50_ms"] for row in seen]),
            Line(name="p95", style="c2", values=[row["p95_ms"] for row in seen]),
            Line(name="p99", style="c3", values=[row["p99_ms"] for row in seen]),
            Line(name="generator late, most", style="c5", values=[row["late_ms"] or None for row in seen]),
        ],
        unit="",
        bands=bands,
        log=True,
    )
    return rate + latency


def _bands(seen: Sequence[dict[str, Any]]) -> list[Band]:
    spikes = [row["second"] for row in seen if row["phase"] == "spike"]
    return [Band(name="spike", start=spikes[0], end=spikes[-1])] if spikes else []


def _names(report: RunReport) -> str:
    groups = [*report.seen["names"].items()]
    groups += [(f"phase: {name}", figures) for name, figures in report.seen["phases"].items()]
    rows = [
        [
            name,
            f"{figures['requests']:,}",
            f"{figures['errors']:,}",
            *(ms(figures[key]) for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms")),
        ]
        for name, figures in groups
    ]
    return _table(["request", "count", "errors", "p50", "p95", "p99", "max"], rows)


def _reasons(report: RunReport) -> str:
    rows = [[reason, f"{count:,}"] for reason, count in report.seen["reasons"].items()]
    return _table(["request: status", "count"], rows)


def _books(report: RunReport) -> str:
    accounts = report.accounts
    if accounts is None:
        return "<p>The target is not ours: its books were not looked at.</p>"
    rows = [
        ["clicks answered 302, the warm-up's too", f"{accounts.answered:,}"],
        ["clicks without any answer", f"{accounts.uncertain:,}"],
        ["issued, as the books say", f"{accounts.issued:,}"],
        ["stored in SQL", f"{accounts.stored:,}"],
        ["with an owner", f"{accounts.started:,}"],
    ]
    verdict = "".join(f'<p class="verdict bad">{escape(text)}</p>' for text in accounts.complaints)
    return _table(["", "count"], rows) + (
        verdict or '<p class="verdict good">balanced: what was answered is stored</p>'
    )


def _machine(report: RunReport) -> str:
    late = report.seen["late"]
    used, requests = report.seen["cpu_seconds"], max(1, report.seen["all"]["requests"])
    facts = {
        "generator late p50, p99, most": f"{ms(late['p50_ms'])}, {ms(late['p99_ms'])}, {ms(late['max_ms'])}",
        "arrivals that found all users waiting": f"{late['crowded']:,}",
        "generator's CPU": f"{used:.1f} s, {used / requests * 1e6:,.0f} us a request",
        **{name.replace("_", " "): str(value) for name, value in report.machine.items()},
    }
    return _table(["", ""], [[name, value] for name, value in facts.items()])


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in headings)
    body = "".join(f"<tr>{''.join(_cell(text) for text in row)}</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(text: str) -> str:
    tone = {"held": " class=good", "missed": " class=bad"}.get(text, "")
    return f"<td{tone}>{escape(text)}</td>"


def ms(value: float | None) -> str:
    """Milliseconds for people."""
    return "-" if value is None else f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"
