"""For how long clicks were not visible in Redis, as the daemons' own counters say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile

from chaos.drill import Drill
from chaos.watch import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Between two looks at one daemon: until when, how many clicks came, and how many of them were visible."""

    until: float
    clicks: float
    visible: float


def stretches(samples: Iterable[Sample]) -> Iterator[Stretch]:
    """In which clicks came. A daemon that was started again counts from nothing, and that stretch is left out."""
    before: dict[int, Sample] = {}
    for sample in samples:
        last, before[sample.daemon] = before.get(sample.daemon), sample
        if last is not None:
            clicks = sum(sample.receipts.values()) - sum(last.receipts.values())
            if clicks > 0:
                yield Stretch(until=sample.at, clicks=clicks, visible=sample.visible - last.visible)


def visible_figures(drill: Drill) -> dict[str, float | None]:
    """Figures since the first fault, all 0 before any.

    visible_again_s: until the first click was visible after those that were not. visible_all_s: until every click was, for the
    whole second that followed. None: not while anybody looked. hidden_percent: of the clicks until then, how many were not.
    """
    began = drill.log.windows[0].began if drill.log.windows else None
    if began is None:
        return {"visible_again_s": 0.0, "visible_all_s": 0.0, "hidden_percent": 0.0}
    return since(began, list(stretches(drill.watch.samples)))


def since(began: float, seen: Sequence[Stretch]) -> dict[str, float | None]:
    """The same of what was seen. The look that was under way when it began tells of before and after, and is left out."""
    later = [stretch for stretch in seen if stretch.until > began][1:]
    later = list(dropwhile(lambda stretch: stretch.visible >= stretch.clicks, later))
    if not later:
        return {"visible_again_s": 0.0, "visible_all_s": 0.0, "hidden_percent": 0.0}
    again = next((each.until - began for each in later if each.visible > 0), None)
    whole = _whole_second(later)
    until_then = [each for each in later if whole is None or each.until <= whole]
    clicks = sum(each.clicks for each in until_then)
    hidden = clicks - sum(each.visible for each in until_then)
    return {
        "visible_again_s": None if again is None else round(again, 2),
        "visible_all_s": None if whole is None else round(whole - began, 2),
        "hidden_percent": round(100 * hidden / clicks, 1),
    }


def _whole_second(later: Sequence[Stretch]) -> float | None:
    """The end of the last stretch before the first second in which nothing was hidden."""
    last = later[0].until
    for stretch in later:
        if stretch.visible < stretch.clicks:
            last = stretch.until
        elif stretch.until - last >= 1.0:
            return last
    return None
