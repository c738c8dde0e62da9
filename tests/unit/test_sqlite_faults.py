"""The spy below SQLite sees what it must, and what it breaks is really broken."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from diskcache import Cache

from tests.faults.sqlite_files import SYNC, Watch, watch


def cache(folder: Path, synchronous: int = 2) -> Cache:
    return Cache(str(folder), timeout=0, eviction_policy="none", cull_limit=0, sqlite_synchronous=synchronous)


@pytest.fixture
def watched(tmp_path: Path) -> Watch:
    return watch(tmp_path)


def survivors(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "cache.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = [key for (key,) in connection.execute("SELECT key FROM Cache ORDER BY key")]
    connection.close()
    return found


@pytest.mark.parametrize(("synchronous", "each"), [(2, 1), (1, 0)])
def test_every_full_commit_is_one_fsync_before_it_returns_and_a_normal_one_is_none(
    tmp_path: Path, watched: Watch, synchronous: int, each: int
) -> None:
    store = cache(tmp_path, synchronous)
    store.set("first", b"v")  # a fresh log's header is synced as well
    for number in range(10):
        before = watched.syncs
        store.set(f"k{number}", b"v")
        assert watched.syncs - before == each
    store.close()


@pytest.mark.parametrize(("synchronous", "left"), [(2, ["k0", "k1", "k2"]), (1, [])])
def test_a_power_cut_leaves_what_was_synced_and_loses_what_was_not(
    tmp_path: Path, watched: Watch, synchronous: int, left: list[str]
) -> None:
    """The second case proves that the simulation loses something at all."""
    store = cache(tmp_path, synchronous)
    store.close()
    store = cache(tmp_path, synchronous)
    for number in range(3):
        store.set(f"k{number}", b"v")
    leave = watched.crash(power=False)
    store.close()
    leave()
    assert survivors(tmp_path) == left


def test_without_a_power_cut_a_crash_leaves_everything_that_was_written(
    tmp_path: Path, watched: Watch
) -> None:
    store = cache(tmp_path, 1)
    store.set("k", b"v")
    leave = watched.crash(power=True)
    store.close()
    leave()
    assert survivors(tmp_path) == ["k"]


def test_a_failing_fsync_fails_the_commit(tmp_path: Path, watched: Watch) -> None:
    store = cache(tmp_path)
    watched.deaf = True
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        store.set("k", b"v")
    watched.deaf = False


@pytest.mark.parametrize(("how", "says"), [("full", "disk is full"), ("broken", "disk I/O error")])
def test_a_failing_write_fails_the_commit(tmp_path: Path, watched: Watch, how: str, says: str) -> None:
    store = cache(tmp_path)
    setattr(watched, how, True)
    with pytest.raises(sqlite3.OperationalError, match=says):
        store.set("k", b"v" * 9000)
    setattr(watched, how, False)


DYING = """
import os, signal, sys
from pathlib import Path
from diskcache import Cache
from tests.faults.sqlite_files import watch
folder, kind, phase = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
watched = watch(folder)
store = Cache(str(folder), timeout=0, eviction_policy="none", cull_limit=0, sqlite_synchronous=2)
def die(seen, path, when):
    if (seen, when) == (kind, phase) and path.endswith("-wal"):
        os.kill(os.getpid(), signal.SIGKILL)
store.set("a", b"v")
watched.hook = die
store.set("k", b"v")
"""


@pytest.mark.parametrize(
    ("kind", "phase", "left"),
    [("write", "before", ["a"]), (SYNC, "before", ["a", "k"]), (SYNC, "after", ["a", "k"])],
)
def test_a_process_killed_around_its_commit_leaves_what_its_kernel_has(
    tmp_path: Path, kind: str, phase: str, left: list[str]
) -> None:
    """The page cache survives kill -9: what was written is there, synced or not."""
    command = [sys.executable, "-c", DYING, str(tmp_path), kind, phase]
    ended = subprocess.run(command, env=os.environ, cwd=Path(__file__).parents[2])
    assert ended.returncode == -signal.SIGKILL
    assert survivors(tmp_path) == left
