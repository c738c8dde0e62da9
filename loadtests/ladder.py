"""The ladder: every rung once in each round, one server at a time, then the books of all of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from loadtests.bench import Bench, open_bench
from loadtests.machine import choose_pins, facts, file_system
from loadtests.measure import measure
from loadtests.plan import Plan, RungFailed, Say
from loadtests.settling import Settling
from loadtests.steps import Rung, TrilhaRung, all_rungs
from loadtests.verdict import Kept, Result, balance, faults_of

SETTLED = "durable"
DISTURBED = 0.1


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything a run has found. `settling` is of the rung `durable`; None when it could not be settled."""

    plan: Plan
    machine: dict[str, object]
    results: list[Result]
    settling: Settling | None = None

    @property
    def exit_code(self) -> int:
        """1 when a rung has failed."""
        return int(any(result.failed for result in self.results))

    def result(self, name: str) -> Result | None:
        """A rung's result, unless it has failed."""
        return next((r for r in self.results if r.name == name and not r.failed), None)


def climb(plan: Plan, say: Say) -> Report:
    """Measure all rungs and judge them. A rung that fails does not keep the others from being measured."""
    pins = choose_pins()
    say(pins.note)
    if file_system(plan.folder) == "tmpfs":
        say(f"{plan.folder} is memory: an fsync costs nothing there. Choose a folder on a disk with --dir")
    with open_bench(plan, pins) as bench:
        machine = facts(bench.folder, pins)
        rungs = all_rungs()
        results = {rung.name: Result(name=rung.name, compared=rung.compared) for rung in rungs}
        for number, rung in itertools.product(range(1, plan.rounds + 1), rungs):
            _measure(bench, rung, number, results[rung.name], say)
        for rung in rungs:
            say(f"books    {rung.name}")
            _close_books(bench, rung, results[rung.name])
        settling = _settle(bench, rungs, results[SETTLED], say)
        return Report(plan=plan, machine=machine, results=list(results.values()), settling=settling)


def _measure(bench: Bench, rung: Rung, number: int, result: Result, say: Say) -> None:
    """A rung that could not be measured once is not tried again."""
    head = f"round {number}/{bench.plan.rounds}  {rung.name:20}"
    if result.failed:
        return
    try:
        sample = measure(bench, rung)
    except (RungFailed, OSError) as failure:
        result.reasons.append(f"round {number}: {failure}")
        say(f"{head}  FAILED: {failure}")
        return
    result.samples[number] = sample
    say(
        f"{head}  {sample.peak.rate:>8,.0f}/s  p99 {sample.peak.p99:6.2f} ms"
        f"   at {sample.rate}/s p50 {sample.steady.p50:5.2f} ms  p99 {sample.steady.p99:6.2f} ms"
        + (f"  (others use {sample.foreign:.0%} of a core)" if (sample.foreign or 0) > DISTURBED else "")
        + "".join(f"\n    FAILED: {text}" for text in sample.complaints)
    )


def _close_books(bench: Bench, rung: Rung, result: Result) -> None:
    try:
        result.kept = _kept(bench, rung, result)
    except (RungFailed, OSError) as failure:
        result.reasons.append(str(failure))
    result.judge()


def _kept(bench: Bench, rung: Rung, result: Result) -> Kept:
    if not isinstance(rung, TrilhaRung):
        counted = [sample.stored for sample in result.samples.values() if sample.stored is not None]
        return Kept(stored=sum(counted) if counted else None)
    if not result.samples:
        return Kept()
    size = rung.spool_bytes(bench)
    first = rung.books(bench)
    if not first.balanced:  # the figures then are those of whole minutes only
        return Kept(complaints=faults_of(first))
    return Kept(
        stored=rung.stored(first),
        spool_bytes=size / first.spooled if first.spooled else None,
        complaints=balance("issued", first.issued, result.answered, result.spare) if rung.compared else [],
    )


def _settle(bench: Bench, rungs: list[Rung], result: Result, say: Say) -> Settling | None:
    rung = next(rung for rung in rungs if rung.name == SETTLED)
    if result.failed or not isinstance(rung, TrilhaRung):
        return None
    say(f"settling {rung.name}")
    try:
        settling = rung.settle(bench)
        books = rung.books(bench)
        result.reasons += faults_of(books) or balance(
            "in SQL once settled", books.stored, result.answered, result.spare
        )
    except RungFailed as failure:
        result.reasons.append(str(failure))
        return None
    return settling
