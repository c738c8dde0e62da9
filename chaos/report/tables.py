"""The tables of a drill: its promises, its phases, what was stored, who pressed START, and the books."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chaos.report.markup import Html, element, hidden, joined
from chaos.report.numbers import bound, count, ms, percent, seconds, share
from chaos.report.result import Drill, Phase, Promise
from chaos.report.words import MARKS, balance

Row = tuple[str, Callable[[Phase], str]]
_PHASES: tuple[Row, ...] = (
    ("asked", lambda phase: count(phase.asked)),
    ("answered", lambda phase: count(phase.answered)),
    ("not a 302", lambda phase: count(phase.non_302)),
    ("no answer", lambda phase: count(phase.unanswered)),
    ("p50", lambda phase: ms(phase.p50_ms)),
    ("p99", lambda phase: ms(phase.p99_ms)),
    ("p99.9", lambda phase: ms(phase.p999_ms)),
    ("slowest", lambda phase: ms(phase.max_ms)),
)


def promises(drill: Drill) -> Html:
    """What was promised beforehand, its bound, and what was measured."""
    if not drill.promises:
        return Html()
    return _table("Promises", ("Promise", "Bound", "Measured", "Kept"), map(_promise, drill.promises))


def _promise(promise: Promise) -> Html:
    verdict = "held" if promise.held else "broken"
    return element(
        "tr",
        element("th", promise.text, scope="row"),
        _number(bound(promise.bound, promise.unit)),
        _number(bound(promise.value, promise.unit)),
        element("td", _sign(verdict), hidden("kept" if promise.held else "not kept"), class_="number"),
        class_=verdict,
    )


def phases(drill: Drill) -> Html:
    """Before, during and after the fault, side by side."""
    if not drill.phases:
        return Html()
    heads = ("Visitors", *(_span(phase) for phase in drill.phases))
    return _table("Before, during and after", heads, (_figure(row, drill.phases) for row in _PHASES))


def _span(phase: Phase) -> Html:
    return joined(
        [
            phase.name,
            " ",
            element("small", f"{phase.from_s:g}–{phase.to_s:g} s", class_="quiet"),
        ]
    )


def _figure(row: Row, shown: tuple[Phase, ...]) -> Html:
    label, said = row
    return element("tr", element("th", label, scope="row"), joined(_number(said(phase)) for phase in shown))


def stored(drill: Drill) -> Html:
    """Clicks by what was promised of them, and how many Redis could show at once."""
    kept = drill.durability
    if kept is None:
        return Html()
    rows = [
        _plain(label, count(value), share(value, kept.total))
        for label, value in (
            ("synced", kept.synced),
            ("written", kept.written),
            ("token only", kept.token_only),
        )
    ]
    rows.append(_plain("visible in Redis at once", "", percent(drill.visible_share)))
    return _table("Durability", ("Clicks", "Number", "Share"), rows)


def starts(drill: Drill) -> Html:
    """Those who pressed START."""
    who = drill.starts
    if who is None:
        return Html()
    named = (
        ("pressed START", who.asked),
        ("answered", who.answered),
        ("own a click", who.owners),
        ("settled later", who.deferred),
        ("lost", who.lost),
    )
    return _table("Starts", ("People", "Number"), (_plain(label, count(value)) for label, value in named))


def books(drill: Drill) -> Html:
    """Whether the books balance, as a sum, and what is wrong with them if not."""
    if drill.books is None:
        return Html()
    verdict = "held" if drill.books.balanced else "broken"
    faults = element("ul", joined(element("li", fault) for fault in drill.books.faults))
    return element(
        "div",
        element("p", _sign(verdict), " ", balance(drill.books)),
        faults if drill.books.faults else None,
        class_=f"books {verdict}",
    )


def workbench(drill: Drill) -> Html:
    """What else was counted, for who wants to repeat the drill."""
    known = (
        ("highest backlog", count(drill.backlog_peak), drill.backlog_peak),
        ("breaker opened", f"{count(drill.breaker_opened)} ×", drill.breaker_opened),
        ("longest stall of the machine itself", ms(drill.machine_stall_ms), drill.machine_stall_ms),
        ("took", seconds(drill.seconds), drill.seconds),
    )
    rows = [_plain(label, said) for label, said, value in known if value is not None]
    return _table("Besides", ("Figure", "Value"), rows) if rows else Html()


def _table(caption: str, heads: Iterable[str], rows: Iterable[Html]) -> Html:
    first, *others = heads
    head = element(
        "tr",
        element("th", first, scope="col"),
        joined(element("th", each, scope="col", class_="number") for each in others),
    )
    return element(
        "table", element("caption", caption), element("thead", head), element("tbody", joined(rows))
    )


def _plain(label: str, *values: str) -> Html:
    return element("tr", element("th", label, scope="row"), joined(map(_number, values)))


def _number(said: str) -> Html:
    return element("td", said, class_="number")


def _sign(verdict: str) -> Html:
    return element("span", MARKS[verdict], class_=f"sign {verdict}", aria_hidden="true")
