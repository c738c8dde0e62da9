"""Sentences, computed from the figures: never said of a run that has not shown them."""

from __future__ import annotations

from typing import Literal

from chaos.report.figures import Totals, totals
from chaos.report.numbers import count, counted, ms, seconds
from chaos.report.result import Books, Drill, Phase, Report, Starts, Verdict, Zeros

Overall = Literal["held", "broken", "untested"]

MARKS: dict[str, str] = {"held": "✓", "broken": "✗", "skipped": "–", "failed": "!", "untested": "–"}
_WORST: tuple[Verdict, ...] = ("broken", "failed", "held", "skipped")


def overall(report: Report) -> Overall:
    """The verdict of the run. Broken if any drill is, and untested when none was carried out."""
    if report.verdict == "broken" or report.having("broken"):
        return "broken"
    return "held" if report.having("held") else "untested"


def worst_first(drills: tuple[Drill, ...]) -> list[Drill]:
    """Broken drills, then those that failed, held, and were skipped; otherwise as they ran."""
    return sorted(drills, key=lambda drill: _WORST.index(drill.verdict))


def headline(report: Report) -> str:
    """The run in one plain sentence, or two."""
    if not report.drills:
        return "No drill was run: this report shows nothing."
    sums = totals(report)
    if not sums.drills:
        return (
            f"None of the {counted(len(report.drills), 'drill')} was carried out: this report shows nothing."
        )
    if overall(report) == "held":
        return f"{counted(sums.drills, 'drill')}: {outcome(sums.zeros)}"
    return f"{_complaint(report, sums.drills)} {capital(outcome(sums.zeros))}"


def _complaint(report: Report, ran: int) -> str:
    broken, failed = len(report.having("broken")), len(report.having("failed"))
    if broken:
        return f"{count(broken)} of {counted(ran, 'drill')} did not keep what was promised."
    if failed:
        return f"The run is broken: {counted(failed, 'drill')} could not be carried out."
    return "The run is broken, though no drill of it is."


def outcome(zeros: Zeros) -> str:
    """What became of the clicks: the four zero-figures as a clause."""
    lost = f"{counted(zeros.acked_lost, 'acknowledged click was', 'acknowledged clicks were')} lost"
    twice = f"{counted(zeros.double_owner, 'click')} had two owners"
    parts = [
        lost if zeros.acked_lost else "every acknowledged click was kept",
        twice if zeros.double_owner else "no click had two owners",
    ]
    if zeros.resurrected:
        parts.append(f"{counted(zeros.resurrected, 'finished click')} came back")
    if zeros.invented:
        parts.append(f"{counted(zeros.invented, 'click was', 'clicks were')} not what the daemon had built")
    return "; ".join(parts) + "."


def tally(report: Report) -> str:
    """`60 held, 2 broken, 1 failed, 4 skipped`: only what there is."""
    counts = [(len(report.having(verdict)), verdict) for verdict in ("held", "broken", "failed", "skipped")]
    return ", ".join(f"{number} {verdict}" for number, verdict in counts if number) or "no drills"


def reach(sums: Totals) -> str:
    """How much was asked of the product while it was being broken, and whether everybody was sent on."""
    if not sums.drills:
        return ""
    came = counted(sums.clicks_asked, "visitor")
    if sums.not_sent_on:
        met = f" came and {count(sums.clicks_answered)} were answered; {count(sums.not_sent_on)} were not sent on"
    else:
        met = " came; every one was answered and sent on"
    pressed = counted(sums.starts, "person", "people")
    return f"{came}{met}. {pressed} pressed START, and {count(sums.owners)} came to own a click."


def felt(drill: Drill) -> str:
    """What the visitors who came during the fault met, in a sentence; empty when the drill did not come to that."""
    phase = drill.fault
    if phase is None:
        return ""
    lasted = f"while the fault lasted ({seconds(phase.to_s - phase.from_s)})"
    if not phase.asked:
        return f"No visitor came {lasted}."
    return f"{counted(phase.asked, 'visitor')} came {lasted}; {_met(phase)}{_speed(phase)}."


def _met(phase: Phase) -> str:
    wrong = [
        f"{count(phase.non_302)} got another answer than the redirect" if phase.non_302 else "",
        f"{count(phase.unanswered)} got no answer" if phase.unanswered else "",
    ]
    said = " and ".join(part for part in wrong if part)
    return said or ("it was sent on" if phase.asked == 1 else "all were sent on")


def _speed(phase: Phase) -> str:
    if phase.p50_ms is None or phase.max_ms is None:
        return ""
    rest = "; of all, " if phase.missed else ", "
    return f"{rest}half of them within {ms(phase.p50_ms)}, the slowest in {ms(phase.max_ms)}"


def started(starts: Starts | None) -> str:
    """What became of those who pressed START, in a sentence; empty when nobody did."""
    if starts is None or not starts.asked:
        return ""
    later = f", {count(starts.deferred)} of them settled later" if starts.deferred else ""
    lost = f"{count(starts.lost)} were lost" if starts.lost else "none was lost"
    pressed = counted(starts.asked, "person", "people")
    return f"{pressed} pressed START: {count(starts.owners)} came to own a click{later}; {lost}."


def balance(books: Books) -> str:
    """The books as the sum that they are."""
    kept = f"{count(books.synced)} synced + {count(books.written)} written + {count(books.token_only)} token only"
    stored = f"{count(books.in_sql)} in SQL, {count(books.in_spools)} in spools"
    verb = "The books balance" if books.balanced else "The books do not balance"
    sign = "=" if books.issued == books.synced + books.written + books.token_only else "≠"
    return f"{verb}: {count(books.issued)} issued {sign} {kept}; {stored}."


def capital(text: str) -> str:
    """The text with a capital first letter, and the rest as it was."""
    return text[:1].upper() + text[1:]
