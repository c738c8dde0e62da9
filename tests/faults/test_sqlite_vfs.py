"""The VFS below SQLite sees what it must, what it breaks is really broken, and what it loses is really lost."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from diskcache import Cache

from chaos.inside import crash
from chaos.inside.sqlite_vfs import SYNC, WRITE, Watch, install, watch

ROOT = Path(__file__).parents[2]


def opened(folder: Path, synchronous: int = 2) -> Cache:
    return Cache(
        str(folder),
        timeout=0,
        eviction_policy="none",
        cull_limit=0,
        statistics=0,
        tag_index=0,
        sqlite_synchronous=synchronous,
    )


def put(store: Cache, *keys: str, value: bytes = b"v") -> None:
    with store.transact():
        for key in keys:
            store.set(key, value)


def rows(folder: Path) -> list[str]:
    """What plain SQLite finds there; what it finds must be whole."""
    connection = sqlite3.connect(folder / "cache.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [key for (key,) in connection.execute("SELECT key FROM Cache ORDER BY key")]
    finally:
        connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def watched(folder: Path) -> Iterator[Watch]:
    made = watch(folder)
    yield made
    made.close()


def log_events(watched: Watch) -> list[tuple[str, bool]]:
    return [(event.kind, event.ok) for event in watched.events if event.path.name == "cache.db-wal"]


# ------------------------------------------------------------ the spy


@pytest.mark.parametrize(("synchronous", "synced"), [(2, True), (1, False)])
def test_a_full_commit_fsyncs_the_log_after_its_last_write_and_before_it_returns_and_a_normal_one_does_not(
    folder: Path, watched: Watch, synchronous: int, synced: bool
) -> None:
    store = opened(folder, synchronous)
    put(store, "first")  # a fresh log's header is synced in any case
    for number in range(5):
        watched.events.clear()
        put(store, f"k{number}")
        seen = log_events(watched)
        assert (WRITE, True) in seen
        assert (seen[-1] == (SYNC, True)) is synced
    store.close()


def test_installing_twice_installs_once_and_a_closed_watch_sees_nothing_more(folder: Path) -> None:
    assert install() is install()
    with watch(folder) as watched:
        store = opened(folder)
    watched.events.clear()
    watched.fail_sync = math.inf
    put(store, "k")
    store.close()
    assert not watched.events
    assert rows(folder) == ["k"]


def test_only_what_lies_below_the_folder_is_watched_and_the_newest_watch_has_it(
    tmp_path: Path, folder: Path
) -> None:
    with watch(tmp_path) as outer, watch(folder) as inner:
        for name in ("spool", "spool-2"):
            store = opened(tmp_path / name)
            put(store, "k")
            store.close()
        assert {event.path.parent.name for event in inner.events} == {"spool"}
        assert {event.path.parent.name for event in outer.events} == {"spool-2"}


def test_an_error_of_a_hook_is_kept_and_never_taken_for_success(folder: Path, watched: Watch) -> None:
    store = opened(folder)
    error = KeyboardInterrupt()

    def fails(*_: object) -> None:
        raise error

    watched.on_event = fails
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        put(store, "k")
    watched.on_event = None
    assert error in watched.errors
    store.close()


LEAVING = """
import sys
from pathlib import Path
from diskcache import Cache
from chaos.inside.sqlite_vfs import watch
folder = Path(sys.argv[1])
watched = watch(folder)
store = Cache(str(folder), sqlite_synchronous=2)
store.set("k", b"v")
"""


def test_a_process_may_end_with_its_connections_and_watches_open(folder: Path) -> None:
    command = [sys.executable, "-c", LEAVING, str(folder)]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ, stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert rows(folder) == ["k"]


def test_a_hook_can_hold_an_fsync_up_and_nothing_is_acknowledged_meanwhile(
    folder: Path, watched: Watch
) -> None:
    entered, go_on, done = threading.Event(), threading.Event(), threading.Event()
    opened(folder).close()

    def held(kind: str, path: Path, phase: str) -> None:
        if (kind, phase) == (SYNC, "before") and path.name == "cache.db-wal":
            entered.set()
            assert go_on.wait(10)

    def work() -> None:
        store = opened(folder)
        watched.on_event = held
        put(store, "k")
        done.set()
        watched.on_event = None
        store.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(10)
    assert not done.is_set()
    go_on.set()
    thread.join(10)
    assert done.is_set()


# ------------------------------------------------------------ the power cut


def test_after_a_power_cut_every_row_of_a_full_commit_is_there(
    tmp_path: Path, folder: Path, watched: Watch
) -> None:
    store = opened(folder)
    for number in range(9):
        put(store, f"k{number}")
        watched.lose_unsynced(tmp_path / f"cut{number}")
        assert rows(tmp_path / f"cut{number}") == [f"k{n}" for n in range(number + 1)]
    store.close()


def test_after_a_power_cut_normal_commits_since_the_last_checkpoint_are_lost(
    tmp_path: Path, folder: Path, watched: Watch
) -> None:
    """This proves that the simulation loses something at all."""
    store = opened(folder, 1)
    put(store, "early")
    store.close()
    store = opened(folder, 1)
    put(store, "late")
    watched.lose_unsynced(tmp_path / "cut")
    assert rows(folder) == ["early", "late"]
    assert rows(tmp_path / "cut") == ["early"]
    store.close()


def test_a_second_connection_makes_nothing_durable_by_opening_the_file(
    tmp_path: Path, folder: Path, watched: Watch
) -> None:
    opened(folder, 1).close()
    store = opened(folder, 1)
    put(store, "k")
    beside = sqlite3.connect(folder / "cache.db")
    assert beside.execute("SELECT count(*) FROM Cache").fetchone() == (1,)
    watched.lose_unsynced(tmp_path / "cut")
    beside.close()
    store.close()
    assert rows(tmp_path / "cut") == []


def test_what_was_there_before_the_watch_counts_as_synced_opened_or_not(tmp_path: Path, folder: Path) -> None:
    for name in ("spool", "untouched"):
        store = opened(tmp_path / name, 1)
        put(store, "before")
        store.close()
    with watch(tmp_path) as watched:
        store = opened(folder, 1)
        put(store, "after")
        watched.lose_unsynced(tmp_path / "cut")
        assert rows(tmp_path / "cut" / "spool") == ["before"]
        assert rows(tmp_path / "cut" / "untouched") == ["before"]
        store.close()


def test_the_shadow_is_the_file_byte_for_byte_through_checkpoints_restarts_and_truncations(
    tmp_path: Path, folder: Path, watched: Watch
) -> None:
    """With every write synced, what a power cut leaves is exactly what is there."""
    store = opened(folder)
    store._sql("PRAGMA wal_autocheckpoint = 20")
    for number in range(300):
        put(store, f"k{number % 7}", value=bytes([number % 251]) * (number * 37 % 9000))
        if number % 50 == 49:
            store._sql("DELETE FROM Cache")
            store._sql("VACUUM")
            store._sql("PRAGMA wal_checkpoint(TRUNCATE)")
        if number % 10 == 9:
            put(store, "last")  # the checkpoint's writes are synced, and so is what came after
            watched.lose_unsynced(tmp_path / "cut")
            for name in ("cache.db", "cache.db-wal"):
                assert (tmp_path / "cut" / name).read_bytes() == (folder / name).read_bytes(), (name, number)
    assert any(event.kind == "truncate" for event in watched.events)
    store.close()


def test_a_file_that_grew_without_a_write_has_its_size_after_the_cut(
    tmp_path: Path, folder: Path, watched: Watch
) -> None:
    """SQLite may grow a file by its SIZE_HINT, which is no write."""
    store = opened(folder)
    put(store, "k")

    def grows(kind: str, path: Path, phase: str) -> None:
        if (kind, phase) == (SYNC, "before") and path.name == "cache.db":
            os.truncate(path, path.stat().st_size + 4096)

    watched.on_event = grows
    store._sql("PRAGMA wal_checkpoint")
    watched.on_event = None
    watched.lose_unsynced(tmp_path / "cut")
    assert (tmp_path / "cut" / "cache.db").read_bytes() == (folder / "cache.db").read_bytes()
    store.close()


@pytest.mark.parametrize("forgetful", [False, True])
def test_a_forgetful_disk_never_has_what_a_failed_fsync_was_to_bring_there(
    tmp_path: Path, folder: Path, watched: Watch, forgetful: bool
) -> None:
    opened(folder).close()
    connection = sqlite3.connect(folder / "cache.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE T (x)")
    watched.forgetful = forgetful
    watched.fail_sync = 1
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("INSERT INTO T VALUES (zeroblob(9000))")
    before = (folder / "cache.db-wal").read_bytes()
    for file in install()._files.values():  # a later fsync of the same log, nothing written in between
        if file.path.name == "cache.db-wal":
            watched.do(file, (SYNC, 0, 0), 0, lambda: 0)
    watched.lose_unsynced(tmp_path / "cut")
    assert ((tmp_path / "cut" / "cache.db-wal").read_bytes() == before) is not forgetful
    connection.close()


@pytest.mark.parametrize(("power", "left"), [(True, ["early", "late"]), (False, ["early"])])
def test_a_crash_in_place_leaves_what_the_kernel_or_the_disk_has_and_that_counts_as_synced(
    folder: Path, watched: Watch, power: bool, left: list[str]
) -> None:
    store = opened(folder, 1)
    put(store, "early")
    store.close()
    store = opened(folder, 1)
    put(store, "late")
    for _ in range(2):
        leave = watched.crash(power=power)
        store.close()
        leave()
        store = opened(folder, 1)
    store.close()
    assert rows(folder) == left


def test_a_folder_that_was_removed_and_made_again_is_not_haunted(
    tmp_path: Path, folder: Path, watched: Watch
) -> None:
    opened(folder).close()
    for path in folder.iterdir():
        path.unlink()
    watched.lose_unsynced(tmp_path / "empty")
    assert not (tmp_path / "empty").exists()
    connection = sqlite3.connect(folder / "cache.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE TABLE T (x)")
    watched.lose_unsynced(tmp_path / "cut")
    connection.close()
    assert not (tmp_path / "cut" / "cache.db").exists()


# ------------------------------------------------------------ the saboteur


def test_a_failing_fsync_fails_the_commit_and_nobody_sees_its_row(folder: Path, watched: Watch) -> None:
    store = opened(folder)
    put(store, "before")
    watched.fail_sync = 1
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        put(store, "k")
    assert watched.fail_sync == 0
    assert watched.events[-1].kind == SYNC
    assert not watched.events[-1].ok
    assert rows(folder) == ["before"]
    store.close()


@pytest.mark.parametrize(("how", "says"), [("full", "database or disk is full"), ("io", "disk I/O error")])
def test_a_failing_write_fails_the_commit_with_its_reason(
    folder: Path, watched: Watch, how: str, says: str
) -> None:
    store = opened(folder)
    put(store, "before")
    watched.fail_write = how
    with pytest.raises(sqlite3.OperationalError, match=says):
        put(store, "k")
    watched.fail_write = None
    assert rows(folder) == ["before"]
    store.close()


@pytest.mark.parametrize(("switch", "says"), [("full", "is full"), ("broken", "I/O"), ("deaf", "I/O")])
def test_switches_stay_until_they_are_switched_off(
    folder: Path, watched: Watch, switch: str, says: str
) -> None:
    setattr(watched, switch, True)
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match=says):
            opened(folder)
    assert getattr(watched, switch)
    setattr(watched, switch, False)
    store = opened(folder)
    put(store, "k")
    store.close()


def test_a_slow_fsync_takes_that_long(folder: Path, watched: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(folder)
    put(store, "first")
    waits: list[float] = []
    monkeypatch.setattr(watched._pause, "wait", waits.append)
    watched.sync_seconds = 0.5
    put(store, "k")
    assert waits == [0.5]
    store.close()


# ------------------------------------------------------------ the killer

DYING = """
import sys
from pathlib import Path
from diskcache import Cache
from chaos.inside import crash
from chaos.inside.sqlite_vfs import watch
folder, point, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
countdown = crash.Countdown()
crash.on_log(watch(folder, record=False, remember=False), countdown)
store = Cache(str(folder), timeout=0, eviction_policy="none", cull_limit=0, sqlite_synchronous=2)
store.set("a", b"v")
countdown.arm(point, count)
for key in ("k", "l", "m"):
    store.set(key, b"v")
    print(key, flush=True)
"""


@pytest.mark.parametrize(
    ("point", "count", "acknowledged", "left"),
    [
        ("before_write", 1, [], ["a"]),
        ("after_write", 1, [], ["a", "k"]),
        ("after_fsync", 1, [], ["a", "k"]),
        ("after_fsync", 2, ["k"], ["a", "k", "l"]),
    ],
)
def test_a_process_killed_around_its_commit_leaves_what_its_kernel_has(
    folder: Path, point: str, count: int, acknowledged: list[str], left: list[str]
) -> None:
    """Before the write the row is absent; after it the page cache survives kill -9, synced or not."""
    command = [sys.executable, "-c", DYING, str(folder), point, str(count)]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True)
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == acknowledged
    assert rows(folder) == left


def test_a_killer_counts_its_point_once_it_is_armed_and_strikes_once() -> None:
    struck: list[int] = []
    countdown = crash.Countdown(lambda: struck.append(1))
    countdown.passed("after_fsync")
    countdown.arm("after_fsync", 2)
    for point in ("after_fsync", "before_write", "after_write"):
        countdown.passed(point)
    assert not struck
    for _ in range(3):
        countdown.passed("after_fsync")
    assert struck == [1]


def test_a_killer_that_was_disarmed_does_not_strike() -> None:
    struck: list[int] = []
    countdown = crash.Countdown(lambda: struck.append(1))
    countdown.arm("after_fsync")
    countdown.arm(None)
    countdown.passed("after_fsync")
    assert not struck


async def test_only_redirects_count_and_each_one_after_the_turn_that_wrote_it() -> None:
    seen: list[bytes | str] = []

    class Transport:
        def write(self, data: bytes) -> None:
            seen.append(data)

    countdown = crash.Countdown(lambda: seen.append("struck"))
    countdown.arm("after_302")
    counted = crash.CountedTransport(Transport(), countdown)
    counted.write(b"HTTP/1.1 404 Not Found\r\n\r\n")
    counted.write(b"HTTP/1.1 302 Found\r\n\r\n")
    assert len(seen) == 2
    await asyncio.sleep(0)
    assert seen[2:] == ["struck"]


def test_a_wrong_point_is_refused() -> None:
    with pytest.raises(ValueError, match="no such point"):
        crash.Countdown().arm("nowhere")
