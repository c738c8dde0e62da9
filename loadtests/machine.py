"""The machine: which cores to use, what it is made of, what an fsync costs."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FSYNCS = 40


@dataclass(frozen=True, slots=True)
class Pins:
    """The core of the server and the core of everything else, of so many `cores`. None: unpinned, as `note` says."""

    server: int | None
    others: int | None
    cores: int
    note: str


def choose_pins() -> Pins:
    """Two cores that share no physical core, if there are such."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if not cores:
        return Pins(None, None, os.cpu_count() or 1, "unpinned: this system cannot pin processes to cores")
    if len(cores) == 1:
        return Pins(
            None, None, 1, "unpinned, on the only core: the generator takes its time from the server's"
        )
    twins = _siblings(cores[0])
    apart = [core for core in cores[1:] if core not in twins]
    others = apart[0] if apart else cores[1]
    note = f"server on core {cores[0]}, generator and Valkey on core {others}"
    return Pins(cores[0], others, len(cores), note if apart else note + " (two threads of one physical core)")


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """This process, and what it starts meanwhile, on that core; afterwards where it was before."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def facts(folder: Path, pins: Pins) -> dict[str, object]:
    """What a reader needs to know to compare figures with those of another machine."""
    return {
        "cpu": _cpu_model(),
        "cores": pins.cores,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "filesystem": file_system(folder),
        "fsync_ms": fsync_ms(folder),
        "pins": pins.note,
        "load_before": round(os.getloadavg()[0], 2),
    }


def fsync_ms(folder: Path) -> float:
    """Median milliseconds of a 4 KiB write with its fsync."""
    took = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(FSYNCS):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return round(statistics.median(took) * 1000, 3)


def file_system(folder: Path) -> str:
    """The type of the file system that a folder is on, such as ext4."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    wanted = folder.resolve()
    under = [(len(Path(m[1]).parts), at, m[2]) for at, m in enumerate(mounts) if wanted.is_relative_to(m[1])]
    return max(under)[2] if under else "unknown"


def default_folder() -> Path:
    """The system's temporary folder, unless that is memory: an fsync costs nothing there."""
    folder = Path(tempfile.gettempdir())
    lasting = Path("/var/tmp")  # the disk's own temporary folder
    return lasting if file_system(folder) == "tmpfs" and lasting.is_dir() else folder


def _siblings(core: int) -> set[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        parts = [part.split("-") for part in path.read_text().strip().split(",")]
        return {n for part in parts for n in range(int(part[0]), int(part[-1]) + 1)}
    except (OSError, ValueError):
        return {core}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or sys.platform
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
