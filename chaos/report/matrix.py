"""The fault matrix: every fault that a drill covers, by tier, with its verdict and the way to its drill."""

from __future__ import annotations

from chaos.report.markup import Html, element, hidden, joined, slug
from chaos.report.result import Drill, Report
from chaos.report.words import MARKS, worst_first


def matrix(report: Report) -> Html:
    """A row per tier in the order of the report; a cell per fault, with the worst verdict of those who cover it."""
    tiers = dict.fromkeys(drill.tier for drill in report.drills)
    rows = (_row(tier, [drill for drill in report.drills if drill.tier == tier]) for tier in tiers)
    return element(
        "table",
        element("caption", "Faults by tier. Each leads to its drill."),
        element(
            "thead",
            element(
                "tr",
                _head("Tier"),
                _head("Faults"),
                element("th", "Drills held", scope="col", class_="number"),
            ),
        ),
        element("tbody", joined(rows)),
        class_="matrix",
    )


def _head(label: str) -> Html:
    return element("th", label, scope="col")


def _row(tier: str, drills: list[Drill]) -> Html:
    held = sum(drill.verdict == "held" for drill in drills)
    cells = (element("li", _cell(fault, drill)) for fault, drill in _covered(drills).items())
    return element(
        "tr",
        element("th", tier, scope="row"),
        element("td", element("ul", joined(cells), class_="cells")),
        element("td", f"{held} of {len(drills)}", class_="number"),
    )


def _covered(drills: list[Drill]) -> dict[str, Drill]:
    """Each fault with the drill that says the worst of it, in the order in which faults are first named."""
    worst: dict[str, Drill] = {fault: drill for drill in drills for fault in _faults(drill)}
    for drill in reversed(worst_first(tuple(drills))):
        worst.update(dict.fromkeys(_faults(drill), drill))
    return worst


def _faults(drill: Drill) -> tuple[str, ...]:
    return drill.covers or (drill.name,)


def _cell(fault: str, drill: Drill) -> Html:
    reasons = "; ".join(drill.reasons)
    why = f": {reasons}" if reasons else ""
    # What was not tried says so in the matrix itself; the others have a section that says it.
    aside = element("small", reasons) if drill.verdict == "skipped" and reasons else None
    return element(
        "a",
        element("span", MARKS[drill.verdict], class_="sign", aria_hidden="true"),
        element("code", fault),
        hidden(f" {drill.verdict}"),
        aside,
        href=f"#{slug(drill.name)}",
        title=f"{drill.title}: {drill.verdict}{why}",
        class_=f"cell {drill.verdict}",
    )
