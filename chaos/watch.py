"""Watching the daemons from outside while a drill runs: their metrics, ten times a second."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

EVERY_SECONDS = 0.1
_LINE = re.compile(r"^(trilha_\w+?)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
DURABILITIES = ("synced", "written", "token_only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at one daemon. `at`: monotonic seconds. Counters are since that process began.

    receipts: clicks by durability; visible: how many of them Redis had. breakers: 0 closed, 1 half-open, 2 open.
    """

    at: float
    daemon: int
    receipts: dict[str, float]
    visible: float
    breakers: dict[str, float]
    backlog: float
    ring: float


class Watch:
    """Looks at each of `ask` (which give the text of /metrics, or raise OSError) until `stop`.

    `waiting` counts what waits in all spools: daemons measure it too seldom to say when a backlog was gone.
    """

    def __init__(self, ask: list[Callable[[], str]], waiting: Callable[[], float] | None = None) -> None:
        self._ask = ask
        self._waiting = waiting
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True, name="watch")
        self.samples: list[Sample] = []

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """No more looks."""
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(due - time.monotonic()):
            for number, ask in enumerate(self._ask):
                self._one(number, ask)
            due = max(due + EVERY_SECONDS, time.monotonic())

    def _one(self, number: int, ask: Callable[[], str]) -> None:
        try:
            text = ask()
        except OSError:
            return
        sample = sample_of(text, time.monotonic(), number)
        self.samples.append(replace(sample, backlog=self._waiting()) if self._waiting else sample)


def sample_of(text: str, at: float, daemon: int = 0) -> Sample:
    """What Prometheus' text format says. What is not there is 0."""
    receipts = dict.fromkeys(DURABILITIES, 0.0)
    breakers: dict[str, float] = {}
    visible = 0.0
    plain: dict[str, float] = {}
    for name, labels, value in _values(text):
        if name == "trilha_receipts_total":
            receipts[labels["durability"]] += value
            visible += value if labels["visible"] == "yes" else 0.0
        elif name == "trilha_breaker":
            breakers[labels["tier"]] = value
        elif not labels:
            plain[name] = value
    return Sample(
        at=at,
        daemon=daemon,
        receipts=receipts,
        visible=visible,
        breakers=breakers,
        backlog=plain.get("trilha_spool_entries", 0.0),
        ring=plain.get("trilha_ring_waiting", 0.0),
    )


def _values(text: str) -> list[tuple[str, dict[str, str], float]]:
    found = (_LINE.match(line) for line in text.splitlines())
    return [(m[1], dict(_LABEL.findall(m[2] or "")), float(m[3])) for m in found if m]
