"""One drill as a section of the page: what was broken, what the visitors felt, and everything that was measured."""

from __future__ import annotations

from chaos.report.figures import ZEROS
from chaos.report.markup import Html, element, joined, slug
from chaos.report.numbers import NONE, count, ms, seconds
from chaos.report.plot import plot
from chaos.report.result import Drill, Zeros
from chaos.report.tables import books, phases, promises, starts, stored, workbench
from chaos.report.words import MARKS, felt, started


def badge(verdict: str, said: str | None = None) -> Html:
    """The verdict as a sign, a word and a colour, so that it needs none of the three alone."""
    return element(
        "span",
        element("span", MARKS[verdict], class_="sign", aria_hidden="true"),
        said or verdict,
        class_=f"badge {verdict}",
    )


def section(drill: Drill) -> Html:
    """The whole drill. The tables of one that held are folded away."""
    return element(
        "section",
        element(
            "header",
            element("h3", drill.title),
            element("p", badge(drill.verdict), " ", _name(drill), class_="kicker"),
        ),
        element("p", drill.about, class_="about") if drill.about else None,
        _reasons(drill),
        _felt(drill),
        _key_figures(drill),
        plot(drill),
        promises(drill) if drill.verdict == "broken" else None,
        _folded(drill),
        id=slug(drill.name),
        class_=f"drill {drill.verdict}",
    )


def _name(drill: Drill) -> Html:
    return joined([drill.tier, " · ", element("code", drill.name)])


def _reasons(drill: Drill) -> Html | None:
    if not drill.reasons:
        return None
    head = "What was not kept" if drill.verdict == "broken" else "Why there is no verdict"
    if drill.verdict == "held":
        head = "To be noted"
    return element(
        "div",
        element("h4", head),
        element("ul", joined(element("li", reason) for reason in drill.reasons)),
        class_="reasons",
    )


def _felt(drill: Drill) -> Html | None:
    said = " ".join(part for part in (felt(drill), started(drill.starts)) if part)
    return element("p", said, class_="felt") if said else None


def _key_figures(drill: Drill) -> Html | None:
    """How long it took, and the four figures that must be 0."""
    if not drill.ran and drill.zeros is None:
        return None
    times = (
        ("noticed after", ms(drill.times.detect_ms)),
        ("recovered after", seconds(drill.times.recover_s)),
        ("settled after", seconds(drill.times.settle_s)),
    )
    took = [_figure(label, value, "") for label, value in times if value != NONE]
    return element(
        "div",
        element("dl", joined(took), class_="times") if took else None,
        element("dl", joined(_zeros(drill.zeros)), class_="four") if drill.zeros else None,
        class_="figures",
    )


def _zeros(zeros: Zeros) -> list[Html]:
    return [zero_figure(each.label, each.of(zeros)) for each in ZEROS]


def zero_figure(label: str, value: int) -> Html:
    """A figure that must be 0, with a sign when it is not."""
    return _figure(
        label, f"{MARKS['broken']} {count(value)}" if value else "0", "broken" if value else "held"
    )


def _figure(label: str, value: str, verdict: str) -> Html:
    return element("div", element("dt", label), element("dd", value), class_=f"figure {verdict}".strip())


def _folded(drill: Drill) -> Html | None:
    parts = [
        promises(drill) if drill.verdict != "broken" else Html(),
        phases(drill),
        stored(drill),
        starts(drill),
        workbench(drill),
    ]
    tables = joined(part for part in parts if part)
    if not tables and drill.books is None:
        return None
    return element(
        "details",
        element("summary", "All figures: promises, phases, durability, starts, books"),
        element("div", tables, class_="tables"),
        books(drill),
        open="" if drill.verdict == "broken" else None,
    )
