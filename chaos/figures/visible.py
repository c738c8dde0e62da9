"""For how long clicks were not visible in Redis, as the daemons' own counters say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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


def visible_figures(drill: Drill) -> dict[str, float]:
    """Figures since the first fault, all 0 before any.

    visible_again_s: until the last stretch (of a tenth of a second) in which no click was visible was over. visible_all_s: until
    the last stretch in which one was not. hidden_percent: of the clicks until then, how many were not.
    """
    began = drill.log.windows[0].began if drill.log.windows else None
    if began is None:
        return {"visible_again_s": 0.0, "visible_all_s": 0.0, "hidden_percent": 0.0}
    return since(began, stretches(drill.watch.samples))


def since(began: float, seen: Iterable[Stretch]) -> dict[str, float]:
    """The same of what was seen."""
    later = [stretch for stretch in seen if stretch.until > began]
    dark = max((each.until - began for each in later if each.visible <= 0), default=0.0)
    dim = max((each.until - began for each in later if each.visible < each.clicks), default=0.0)
    until_then = [each for each in later if each.until - began <= dim]
    clicks = sum(each.clicks for each in until_then)
    hidden = clicks - sum(each.visible for each in until_then)
    return {
        "visible_again_s": round(dark, 2),
        "visible_all_s": round(dim, 2),
        "hidden_percent": round(100 * hidden / clicks, 1) if clicks else 0.0,
    }
