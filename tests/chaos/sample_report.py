"""A report such as a run of drills leaves behind: deterministic, with every verdict and realistic timelines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from chaos.report.result import Drill, Machine, Report, parse

STEPS = 100
STEP_S = 0.25
FAULT = (6.0, 14.0)
RATE = 220


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a fault does: to latency (factor), to durability (share synced, written), to the breaker and the backlog."""

    latency: float = 1.5
    synced: float = 1.0
    written: float = 0.0
    breaker: str | None = "redis"
    backlog: int = 0
    errors: int = 0
    silent: bool = False


def wave(step: int, seed: int) -> float:
    """Between -1 and 1, without a pattern that the eye would see, and always the same."""
    return (math.sin(step * 12.9898 + seed * 78.233) * 43758.5453) % 2 - 1


def faulty(step: int) -> bool:
    return FAULT[0] <= step * STEP_S < FAULT[1]


def timeline(story: Story, seed: int) -> dict[str, Any]:
    steps = range(STEPS)
    rate = [RATE + round(wave(step, seed) * 14) for step in steps]
    p50 = [
        1.9 * (story.latency**0.5 if faulty(step) else 1) * (1 + wave(step, seed + 1) * 0.12)
        for step in steps
    ]
    p99 = [7.0 * (story.latency if faulty(step) else 1) * (1 + wave(step, seed + 2) * 0.3) for step in steps]
    peak = [high * (1.7 + wave(step, seed + 3) * 0.5) for step, high in zip(steps, p99, strict=True)]
    gone = [story.silent and faulty(step) and step % 4 for step in steps]
    synced = [
        round(each * (story.synced if faulty(step) else 1)) for step, each in zip(steps, rate, strict=True)
    ]
    written = [
        round(each * story.written) if faulty(step) else 0 for step, each in zip(steps, rate, strict=True)
    ]
    return {
        "step_s": STEP_S,
        "rate": rate,
        "errors": [story.errors if faulty(step) and step % 7 == 0 else 0 for step in steps],
        **{
            name: [None if lost else round(value, 2) for lost, value in zip(gone, values, strict=True)]
            for name, values in (("p50_ms", p50), ("p99_ms", p99), ("max_ms", peak))
        },
        "synced": synced,
        "written": written,
        "token_only": [all_ - kept - late for all_, kept, late in zip(rate, synced, written, strict=True)],
        "breakers": {
            name: [breaker(name == story.breaker, step) for step in steps]
            for name in ("redis", "disk", "sql")
        },
        "backlog": [backlog(story.backlog, step) for step in steps],
    }


def breaker(hurt: bool, step: int) -> int | None:
    at = step * STEP_S
    if step < 2:
        return None
    if not hurt or not FAULT[0] + 0.25 <= at < FAULT[1] + 2:
        return 0
    if at >= FAULT[1] + 1:
        return 1
    return 1 if step % 10 == 8 else 2


def backlog(peak: int, step: int) -> int:
    at = step * STEP_S
    if at < FAULT[0]:
        return 3 if peak else 0
    if at < FAULT[1]:
        return round(peak * (at - FAULT[0]) / (FAULT[1] - FAULT[0]))
    return max(0, round(peak * (1 - (at - FAULT[1]) / 4)))


def phases(story: Story) -> list[dict[str, Any]]:
    def phase(name: str, from_s: float, to_s: float, factor: float, errors: int) -> dict[str, Any]:
        asked = round((to_s - from_s) * RATE)
        return {
            "name": name, "from_s": from_s, "to_s": to_s, "asked": asked, "answered": asked - errors,
            "non_302": 0, "errors": errors, "p50_ms": round(1.9 * factor**0.5, 2), "p99_ms": round(7 * factor, 2),
            "p999_ms": round(11 * factor, 2), "max_ms": round(15.4 * factor, 2),
        }  # fmt: skip

    return [
        phase("before", 0, FAULT[0], 1, 0),
        phase("fault", *FAULT, story.latency, story.errors * 5),
        phase("after", FAULT[1], STEPS * STEP_S, 1.1, 0),
    ]


def drill(
    name: str, title: str, about: str, tier: str, covers: list[str], story: Story | None = None, **more: Any
) -> dict[str, Any]:
    """A drill as the JSON has it. With a story it was carried out, and held unless told otherwise."""
    base = {
        "name": name,
        "title": title,
        "about": about,
        "tier": tier,
        "covers": covers,
        "verdict": "held",
        "reasons": [],
    }
    return base | (carried_out(story, len(name)) if story else {}) | more


def carried_out(story: Story, seed: int) -> dict[str, Any]:
    clicks = {
        key: round(sum(values) * STEP_S)
        for key, values in timeline(story, seed).items()
        if key in {"synced", "written", "token_only"}
    }
    issued = sum(clicks.values())
    slowest = round(11 * story.latency, 1)
    return {
        "began": "2026-11-27T19:50:00Z",
        "seconds": 27.4,
        "promises": [
            {"name": "non_302", "text": "every visitor is sent on", "bound": 0, "value": 0, "unit": "", "held": True},
            {"name": "p999", "text": "99.9 % are sent on in time during the fault", "bound": 60, "value": slowest, "unit": "ms", "held": slowest <= 60},
            {"name": "acked_lost", "text": "no acknowledged click is lost", "bound": 0, "value": 0, "unit": "", "held": True},
            {"name": "detect", "text": "the breaker opens", "bound": 100, "value": 31.5, "unit": "ms", "held": True},
            {"name": "balanced", "text": "the books balance", "bound": True, "value": True, "unit": "", "held": True},
        ],
        "zeros": {"acked_lost": 0, "double_owner": 0, "resurrected": 0, "invented": 0},
        "times": {"detect_ms": 31.5, "recover_s": 2.1, "settle_s": 3.8 if story.backlog else None},
        "phases": phases(story),
        "durability": clicks,
        "visible_share": 0.64,
        "starts": {"asked": 312, "answered": 312, "owners": 290, "deferred": 12 if story.backlog else 0, "lost": 0},
        "backlog_peak": story.backlog,
        "breaker_opened": 1,
        "machine_stall_ms": 4.0,
        "books": {"balanced": True, "faults": [], "issued": issued, **clicks, "in_sql": issued - clicks["token_only"], "in_spools": 0},
        "windows": [{"fault": "the fault", "from_s": FAULT[0], "to_s": FAULT[1]}],
        "marks": [{"at_s": FAULT[1], "text": "the server is back"}, {"at_s": FAULT[1] + 2.1, "text": "all as before"}],
        "timeline": timeline(story, seed),
    }  # fmt: skip


LOST = {
    "verdict": "broken",
    "reasons": ["3 acknowledged clicks were lost, allowed 0", "p99.9 was 132 ms, allowed 60"],
    "zeros": {"acked_lost": 3, "double_owner": 0, "resurrected": 0, "invented": 0},
    "windows": [{"fault": "the disk refuses every fsync", "from_s": 6.0, "to_s": 14.0}, {"fault": "PostgreSQL is read-only", "from_s": 15.5, "to_s": 20.0}],
}  # fmt: skip


def broken(story: Story, seed: int) -> dict[str, Any]:
    whole = carried_out(story, seed)
    kept = {
        "name": "acked_lost",
        "text": "no acknowledged click is lost",
        "bound": 0,
        "value": 3,
        "unit": "",
        "held": False,
    }
    books = whole["books"] | {
        "balanced": False,
        "faults": ["3 acknowledged clicks are neither in SQL nor in a spool"],
        "in_sql": whole["books"]["in_sql"] - 3,
    }
    return LOST | {
        "promises": [kept if each["name"] == "acked_lost" else each for each in whole["promises"]],
        "books": books,
    }


def window(text: str) -> dict[str, Any]:
    return {"windows": [{"fault": text, "from_s": FAULT[0], "to_s": FAULT[1]}]}


def drills() -> list[dict[str, Any]]:
    """Eleven drills: seven that held, one broken, one failed, two skipped."""
    eio = Story(latency=12, synced=0.0, written=0.85, breaker="disk", errors=4, backlog=1240)
    return [
        drill("redis-kill", "Redis is killed", "The Redis server is killed with SIGKILL under load, and started again eight seconds later.", "Redis", ["redis.kill", "redis.refused"], Story(), **window("Redis is dead")),
        drill("redis-freeze", "Redis freezes", "The Redis process is stopped: it accepts connections and answers nothing.", "Redis", ["redis.sigstop", "redis.silent"], Story(latency=2.4), **window("Redis is frozen")),
        drill("redis-oom", "Redis is out of memory", "Redis refuses every write; PING still answers.", "Redis", ["redis.oom"], Story(latency=1.2), **window("OOM on every write")),
        drill("disk-eio", "The disk fails under the spool", "Every write and fsync of the spool ends in EIO; meanwhile the database turns read-only for a while.", "disk", ["disk.eio", "disk.slow_fsync"], eio, **broken(eio, 8)),
        drill("disk-full", "The disk is full", "The spool's file system has no space left: clicks go to SQL directly.", "disk", ["disk.enospc"], Story(latency=2, breaker="disk", synced=0.92), **window("no space left on the device")),
        drill("disk-torn", "The tail of the spool is torn", "Pages that were never fsynced are lost with the power.", "disk", ["disk.torn_tail", "disk.bit_flip"], verdict="skipped", reasons=["needs root: it mounts a file system of its own"]),
        drill("sql-kill", "PostgreSQL is killed", "The database is killed for eight seconds. Redirects do not notice; starts are settled afterwards.", "SQL", ["sql.kill", "sql.refused"], Story(latency=1.05, breaker="sql", backlog=1790), **window("PostgreSQL is dead")),
        drill("sql-commit-unknown", "A COMMIT whose answer is lost", "The connection is cut after COMMIT was sent.", "SQL", ["sql.commit_unknown"], verdict="failed", reasons=["PostgreSQL did not start within 30 s"]),
        drill("process-kill", "The daemon is killed", "SIGKILL between the fsync and the answer; the load balancer sends visitors to its neighbour.", "process", ["process.kill_after_fsync"], Story(latency=4, breaker=None, silent=True, backlog=300), **window("one daemon of two is dead")),
        drill("network-flap", "The network to Redis flaps", "Up for a second, down for a second.", "network", ["network.flap"], Story(latency=3), windows=[{"fault": f"cut {index}", "from_s": 5 + 4 * index, "to_s": 6.5 + 4 * index} for index in range(3)]),
        drill("telegram-flood", "Telegram says FLOOD_WAIT", "Replies must wait.", "Telegram", ["telegram.flood_wait"], verdict="skipped", reasons=["needs the bot extra"]),
    ]  # fmt: skip


def as_dict() -> dict[str, Any]:
    return {
        "version": 1,
        "trilha": "0.1.0",
        "began": "2026-11-27T19:50:00Z",
        "seconds": 312.4,
        "machine": {"cores": 2, "kernel": "Linux 6.1.0", "python": "3.11.7", "valkey": "9.1.2", "postgres": "18.6", "root": True},
        "verdict": "broken",
        "drills": drills(),
    }  # fmt: skip


def sample() -> Report:
    """The whole of it."""
    return parse(msgspec.json.encode(as_dict()))


def only(*names: str) -> Report:
    """A report of these drills alone; its verdict is what they say."""
    return report_of(*(drill for drill in sample().drills if drill.name in names))


def named(name: str) -> Drill:
    return next(drill for drill in sample().drills if drill.name == name)


def report_of(*drills: Drill) -> Report:
    verdict = "broken" if any(drill.verdict == "broken" for drill in drills) else "held"
    machine: Machine = sample().machine
    return msgspec.structs.replace(sample(), drills=drills, verdict=verdict, machine=machine)
