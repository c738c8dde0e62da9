"""The row that a drill is in a table, in the terminal and in the docs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chaos.report.figures import Getter, during
from chaos.report.numbers import count, ms, seconds
from chaos.report.result import Drill


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A figure of a drill under its head. A `zero` must be 0, and stands out when it is not."""

    head: str
    of: Getter
    said: Callable[[float | None], str]
    zero: bool = False

    def cell(self, drill: Drill) -> str:
        """The figure as it is written; a dash when it was not measured."""
        return self.said(self.of(drill))

    def wrong(self, drill: Drill) -> bool:
        """Whether it must be 0, and is not."""
        return self.zero and bool(self.of(drill))


def _missed(drill: Drill) -> float | None:
    return sum(phase.missed for phase in drill.phases) if drill.phases else None


def _zeros(drill: Drill) -> float | None:
    return drill.zeros.total if drill.zeros else None


COLUMNS = (
    Column(head="non-302", of=_missed, said=count, zero=True),
    Column(head="p50", of=during(lambda phase: phase.p50_ms), said=ms),
    Column(head="p99", of=during(lambda phase: phase.p99_ms), said=ms),
    Column(head="p99.9", of=during(lambda phase: phase.p999_ms), said=ms),
    Column(head="max", of=during(lambda phase: phase.max_ms), said=ms),
    Column(head="zeros", of=_zeros, said=count, zero=True),
    Column(head="detect", of=lambda drill: drill.times.detect_ms, said=ms),
    Column(head="recover", of=lambda drill: drill.times.recover_s, said=seconds),
    Column(head="settle", of=lambda drill: drill.times.settle_s, said=seconds),
)
NOTE = (
    "Latencies during the fault. Non-302: visitors who got another answer or none, in the whole drill. "
    "Zeros: clicks lost, doubly owned, resurrected or invented."
)
