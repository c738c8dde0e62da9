"""`python -m locust -f loadtests/locustfile.py --headless`, with the job's file in the environment: one run of one shape.

Locust patches the interpreter for gevent: only its own process imports this file.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import gevent
from locust import LoadTestShape, events

sys.path.insert(0, str(Path(__file__).parents[1]))  # Locust imports this file by its path

from loadtests.job import JOB, PROGRESS, RESULT, Job
from loadtests.mixes import MIXES, users_of
from loadtests.users.ad_clicker import AdClicker
from loadtests.users.api_bot import ApiBot
from loadtests.users.attacker import Attacker
from loadtests.users.crawler import Crawler
from loadtests.users.prefetcher import Prefetcher
from loadtests.users.starter import Starter
from loadtests.users.visitor import Stage, Visitor

ALL: tuple[type[Visitor], ...] = (AdClicker, Starter, ApiBot, Crawler, Prefetcher, Attacker)


def cast(numbers: dict[str, int]) -> None:
    """So many of each kind; those that are not in the mix are not for Locust to find."""
    for kind in ALL:
        kind.fixed_count = numbers.get(kind.kind, 0)
        kind.abstract = kind.kind not in numbers


job = Job.read(Path(os.environ[JOB]))
stage = Stage(job)
Visitor.stage = stage
_numbers = users_of(MIXES[job.mix], job.users)
cast(_numbers)


class Arrivals(LoadTestShape):
    """Locust keeps all users there from the beginning to the end; how often they act is the pump's business."""

    def tick(self) -> tuple[int, int] | None:
        total = sum(_numbers.values())
        return None if stage.pump.done else (total, total)


@events.spawning_complete.add_listener  # type: ignore[untyped-decorator]
def begin(**_: Any) -> None:
    """Once: all users wait for their first arrival."""
    begin_once()


def begin_once() -> None:
    """Start the pump and the progress lines."""
    if not _started:
        _cpu.append(time.process_time())
        _started.append(gevent.spawn(stage.pump.run))
        _started.append(gevent.spawn(_tell))


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def end(**_: Any) -> None:
    """Who has no answer by now gets none; then everything is written down."""
    for arrival in stage.pump.unanswered():
        stage.recorder.failed(arrival.kind, arrival.due, f"{arrival.kind}: no answer at the end")
        stage.recorder.uncertain += 1
    used = time.process_time() - _cpu[0] if _cpu else 0.0
    file = Path(job.folder) / RESULT
    unfinished = file.with_suffix(".part")
    unfinished.write_text(
        json.dumps(stage.recorder.report() | {"cpu_seconds": round(used, 3)}), encoding="utf-8"
    )
    unfinished.replace(file)


def _tell() -> None:
    """A line a second."""
    with (Path(job.folder) / PROGRESS).open("a", encoding="utf-8") as out:
        while not stage.pump.done:
            gevent.sleep(1.0)
            now = stage.pump.now
            line = {
                "second": round(now, 1),
                "planned": round(job.shape.rate_at(now), 1),
                "late_p99_ms": round(stage.recorder.late.percentile(0.99), 1),
            }
            out.write(json.dumps(line | stage.recorder.recent(min(now, job.shape.seconds) - 1)) + "\n")
            out.flush()


_started: list[gevent.Greenlet] = []
_cpu: list[float] = []
