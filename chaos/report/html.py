"""The report as one HTML file that asks nothing of anybody: no script, no font, no picture, no request."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from chaos.report.compare import Difference, DrillGone, compare, rule, sentence, worse
from chaos.report.figures import ZEROS, Totals, totals
from chaos.report.markup import Html, element, hidden, joined, slug
from chaos.report.matrix import matrix
from chaos.report.numbers import count, counted, seconds
from chaos.report.result import Drill, Machine, Report
from chaos.report.section import badge, section, zero_figure
from chaos.report.words import MARKS, capital, headline, overall, reach, tally, worst_first

_OVERALL = {"held": "Held", "broken": "Broken", "untested": "Not tested"}


def page(report: Report, previous: Report | None = None) -> str:
    """The whole document. With a previous report it also says what has changed since."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    document = element("html", _head(report, style), _body(report, previous), lang="en")
    return f"<!doctype html>\n{document}\n"


def _head(report: Report, style: str) -> Html:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Trilha chaos drills: {_OVERALL[overall(report)].lower()}, {_day(report)}"),
        element("style", Html(style)),
    )


def _body(report: Report, previous: Report | None) -> Html:
    return element(
        "body",
        _top(report),
        element(
            "main",
            _changes(previous, report) if previous else None,
            _faults(report),
            _drills(report),
            _skipped(report),
        ),
        element("footer", f"Trilha {report.trilha}. Anybody with a checkout can repeat these drills."),
    )


def _top(report: Report) -> Html:
    verdict = overall(report)
    sums = totals(report)
    return element(
        "header",
        element("p", element("b", "Trilha"), " ", report.trilha, " · chaos drills", class_="kicker"),
        element("h1", headline(report)),
        element(
            "p",
            badge(verdict, _OVERALL[verdict]),
            " ",
            f"{capital(tally(report))}. {reach(sums)}",
            class_="verdict",
        ),
        _zeros(sums) if sums.drills else None,
        _machine(report, report.machine),
        class_=f"top {verdict}",
    )


def _zeros(sums: Totals) -> Html:
    return element(
        "dl", joined(zero_figure(each.label, each.of(sums.zeros)) for each in ZEROS), class_="zeros"
    )


def _machine(report: Report, machine: Machine) -> Html:
    facts = (
        ("Run", f"{report.began.replace('T', ' ').replace('Z', ' UTC')}, {seconds(report.seconds)}"),
        ("Machine", f"{count(machine.cores)} cores, {machine.kernel}{', as root' if machine.root else ''}"),
        ("Python", machine.python),
        ("Valkey", machine.valkey),
        ("PostgreSQL", machine.postgres),
    )
    return element(
        "dl",
        joined(element("div", element("dt", name), element("dd", said)) for name, said in facts if said),
        class_="machine",
    )


def _changes(previous: Report, report: Report) -> Html:
    found = compare(previous, report)
    number = counted(len(found), "difference") if found else "no difference"
    since = f"Compared with the run of {_day(previous)} (Trilha {previous.trilha}): {number}."
    by_drill = {each.drill: [other for other in found if other.drill == each.drill] for each in found}
    said = element("dl", joined(map(_changed, by_drill.values())), class_="changes") if found else None
    return element(
        "section",
        element("h2", "What has changed"),
        element("p", since, class_="about"),
        said,
        element("p", rule(), class_="rule"),
    )


def _changed(of_drill: list[Difference]) -> Html:
    """All that has changed of one drill, under its name."""
    first = of_drill[0]
    name = element("code", first.drill)
    linked = name if isinstance(first, DrillGone) else element("a", name, href=f"#{slug(first.drill)}")
    return element("div", element("dt", linked), joined(map(_change, of_drill)))


def _change(difference: Difference) -> Html:
    if not worse(difference):
        return element("dd", sentence(difference))
    sign = element("span", MARKS["broken"], class_="sign", aria_hidden="true")
    return element("dd", sign, hidden("worse: "), sentence(difference), class_="worse")


def _faults(report: Report) -> Html | None:
    return element("section", element("h2", "The faults"), matrix(report)) if report.drills else None


def _drills(report: Report) -> Html | None:
    shown = worst_first(report.having("broken", "failed", "held"))
    return element("section", element("h2", "The drills"), joined(map(section, shown))) if shown else None


def _skipped(report: Report) -> Html | None:
    skipped = report.having("skipped")
    if not skipped:
        return None
    rows = element("dl", joined(map(_missing, skipped)), class_="skipped")
    return element("section", element("h2", "Not carried out"), rows)


def _missing(drill: Drill) -> Html:
    return element(
        "div",
        element("dt", badge("skipped"), " ", drill.title, " ", element("code", drill.name)),
        element("dd", element("b", "; ".join(drill.reasons) or "no reason was given"), ". ", drill.about),
        id=slug(drill.name),
    )


def _day(report: Report) -> str:
    return report.began.partition("T")[0]
