"""The spool keeps what it acknowledged, counts it exactly, and takes no row that is not ours."""

from __future__ import annotations

import pickle
import sqlite3
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.codec import encode
from backends.disk import DiskStore
from backends.folders import FolderLock, private_folder
from backends.spool import (
    ASIDE,
    DATABASE,
    MEASURE_EVERY,
    WRITER_LOCK,
    Entry,
    Fact,
    Spool,
    remove_unopened,
    spools_under,
)
from domain.attribution import Start
from domain.books import MINUTE_MS, BookEntry
from domain.click import Click, Tombstone
from domain.errors import ConfigError, RecordRejected, SpoolFull, StoreUnavailable
from domain.outcomes import MISSING, Found
from tests.making import (
    NOW,
    bare_click,
    full_click,
    make_disk,
    make_spool,
    new_id,
    spool_beside,
    start_of,
)


def put(spool: Spool, *facts: Fact) -> None:
    spool.append([(fact, encode(fact)) for fact in facts])


def records(spool: Spool) -> list[Fact]:
    return [record for entry in spool.newest(10_000) for record in entry.found.records]


def spooled_clicks(spool: Spool) -> list[Click]:
    return [record for record in records(spool) if isinstance(record, Click)]


def spooled(spool: Spool) -> dict[int, int]:
    """The count of each minute, as whoever keeps the books reads it: the largest figure stands."""
    counts: dict[int, int] = {}
    for entry in records(spool):
        if isinstance(entry, BookEntry):
            counts[entry.minute] = max(entry.spooled, counts.get(entry.minute, 0))
    return counts


class Releasing:
    """In the place of a spool's pause: the first one lets the file go."""

    def __init__(self, holder: sqlite3.Connection) -> None:
        self._holder = holder
        self.pauses = 0

    def wait(self, _seconds: float) -> None:
        self.pauses += 1
        self._holder.close()


def at_minute(minute: int) -> Click:
    return bare_click(id=new_id(minute * MINUTE_MS + 5))


def test_what_was_appended_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    click = full_click()
    start = start_of(click)
    spool = make_spool(tmp_path / "s")
    put(spool, click, start)
    spool.close()
    again = make_spool(tmp_path / "s")
    assert [record for record in records(again) if isinstance(record, Start)] == [start]
    assert again.find(click.id) == click
    again.close()


def test_clicks_of_one_commit_are_one_entry(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    batch = [bare_click() for _ in range(50)]
    put(spool, *batch)
    assert len(spool) == 1
    assert [spool.find(click.id) for click in batch] == batch
    spool.close()


def test_clicks_are_counted_exactly_by_minute_and_starts_are_not(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    put(spool, at_minute(100), at_minute(100), at_minute(101), start_of(bare_click()))
    put(spool, at_minute(100))
    assert spooled(spool) == {100: 3, 101: 1}
    spool.close()


def test_a_batch_that_crosses_a_minute_counts_both(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    edge = 101 * MINUTE_MS
    put(spool, *(bare_click(id=new_id(edge + offset)) for offset in (-3, -1, 0, 2, 4)))
    assert (len(spool), spooled(spool)) == (1, {100: 2, 101: 3})
    spool.close()


def test_a_click_of_a_long_past_minute_adds_to_that_minutes_count(tmp_path: Path) -> None:
    """The ring brings such clicks after an outage; a count that started again would unbalance the books."""
    spool = make_spool(tmp_path / "s")
    put(spool, at_minute(100), at_minute(100))
    put(spool, at_minute(500))
    put(spool, at_minute(100), at_minute(700))
    assert spooled(spool) == {100: 3, 500: 1, 700: 1}
    spool.close()


@given(times=st.lists(st.integers(0, 5000), min_size=1, max_size=30))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_click_of_any_batch_is_found_by_its_id_and_a_stranger_is_not(
    tmp_path: Path, times: list[int]
) -> None:
    """Clicks far apart in time come into one commit when the ring is emptied."""
    with TemporaryDirectory(dir=tmp_path) as folder:
        spool = make_spool(Path(folder) / "s")
        batch = [bare_click(id=new_id(NOW + offset)) for offset in times]
        put(spool, *batch)
        assert [spool.find(click.id) for click in batch] == batch
        assert all(spool.find(new_id(NOW + offset)) is None for offset in times)
        assert spooled(spool) == dict(Counter((NOW + t) // MINUTE_MS for t in times))
        spool.close()


def test_a_failed_transaction_keeps_nothing_and_counts_nothing(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    good = at_minute(100)
    with pytest.raises(TypeError):
        spool.append([(good, encode(good)), (at_minute(100), None)])  # type: ignore[list-item]
    assert (len(spool), spooled(spool)) == (0, {})
    put(spool, good)
    assert spooled(spool) == {100: 1}
    spool.close()


def test_newest_gives_starts_then_clicks_from_the_newest(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    old, new = at_minute(100), at_minute(101)
    put(spool, old, new, start_of(old))
    assert [entry.key[0] for entry in spool.newest(10)] == ["s", "c", "c"]
    assert spooled_clicks(spool) == [new, old]
    assert len(spool.newest(2)) == 2
    spool.close()


def test_trimming_removes_what_was_read_and_leaves_what_changed_since(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    put(spool, at_minute(100), BookEntry(node=0, boot="x", minute=1, issued=1))
    read = spool.newest(10)
    put(spool, at_minute(100), BookEntry(node=0, boot="x", minute=1, issued=2))
    spool.trim(read)
    assert [
        record.issued for record in records(spool) if isinstance(record, BookEntry) and record.boot == "x"
    ] == [2]
    assert len(spooled_clicks(spool)) == 1
    spool.close()


def fill(spool: Spool) -> list[Click]:
    """Append until the spool refuses; what it has taken."""
    kept: list[Click] = []
    while len(kept) < 100:
        click = bare_click(sealed=bytes(10_000))
        try:
            put(spool, click)
        except SpoolFull:
            break
        kept.append(click)
    return kept


def test_at_its_quota_the_spool_takes_nothing_and_drops_nothing(tmp_path: Path) -> None:
    """I13."""
    spool = make_spool(tmp_path / "s", quota=200_000)
    kept = fill(spool)
    with pytest.raises(SpoolFull):
        spool.probe()
    assert spool.volume() >= 200_000
    assert 5 < len(kept) < 30 + MEASURE_EVERY
    assert [spool.find(click.id) for click in kept] == kept
    spool.trim(spool.newest(100))
    put(spool, bare_click())
    spool.close()


def test_what_other_spools_hold_counts_towards_the_quota(tmp_path: Path) -> None:
    """I13: orphans of a daemon that died again and again do not add up beyond it."""
    spool = make_spool(tmp_path / "s", quota=200_000)
    assert spool.volume() < 200_000
    spool.elsewhere = 200_000
    with pytest.raises(SpoolFull):
        put(spool, bare_click())
    spool.elsewhere = 0
    put(spool, bare_click())
    spool.close()


def test_a_discarded_click_leaves_its_batch_and_its_neighbours_stay(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    batch = [bare_click() for _ in range(3)]
    put(spool, *batch)
    spool.remove(batch[1].id)
    assert [spool.find(click.id) for click in batch] == [batch[0], None, batch[2]]
    [records] = [entry.found.records for entry in spool.entries()]
    assert len([record for record in records if not isinstance(record, BookEntry)]) == 3
    for expected in (batch[0], Tombstone(batch[1].id), batch[2]):
        assert expected in records
    spool.close()


def test_discarding_a_click_keeps_what_is_damaged_beside_it(tmp_path: Path) -> None:
    """The batch is written anew without the click; the piece that cannot be read goes to `aside/`, not away."""
    spool = make_spool(tmp_path / "s")
    batch = [bare_click(id=new_id(NOW), language=f"l{n}") for n in range(3)]
    spool.append([(batch[0], encode(batch[0])), (batch[1], b"garbage"), (batch[2], encode(batch[2]))])
    spool.remove(batch[0].id)
    assert spooled_clicks(spool) == [batch[2]]
    [kept] = (tmp_path / ASIDE).iterdir()
    assert kept.read_bytes() == b"garbage"
    spool.close()


def test_a_flipped_bit_costs_one_record_and_a_torn_tail_the_rest_of_its_batch(tmp_path: Path) -> None:
    """The others of the batch are read; what is damaged is handed out as it is."""
    spool = make_spool(tmp_path / "s")
    batch = [bare_click(id=new_id(NOW + n), language=f"l{n}") for n in range(4)]
    put(spool, *batch)
    [entry] = spool.newest(10)
    raw = entry.raw or b""
    flipped = raw.replace(b"l1", b"\xff1")
    assert [r.language for r in Entry.of("c", flipped).found.records if isinstance(r, Click)] == [
        "l0",
        "l2",
        "l3",
    ]
    assert len(Entry.of("c", flipped).found.damaged) == 1
    torn = Entry.of("c", raw[: raw.index(b"l2")])
    assert [r.language for r in torn.found.records if isinstance(r, Click)] == ["l0", "l1"]
    assert len(torn.found.damaged) == 1
    spool.close()


async def test_the_receipt_comes_after_the_commit_and_never_before(tmp_path: Path) -> None:
    """I11: when `put` returns, another connection reads the click, which it did not before."""
    store = make_disk(tmp_path / "s")
    await store.put(bare_click())
    reader = spool_beside(tmp_path / "s")
    for _ in range(20):
        click = bare_click()
        assert reader.find(click.id) is None
        await store.put(click)
        assert reader.find(click.id) == click
    reader.close()
    await store.close()


async def test_a_commit_that_cannot_happen_gives_no_receipt(tmp_path: Path) -> None:
    """I11: while another process holds the write lock, the click is refused, and it is not there afterwards."""
    store = make_disk(tmp_path / "s")
    await store.put(bare_click())
    assert store._spool is not None
    holder = sqlite3.connect(tmp_path / "s" / DATABASE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    click = bare_click()
    with pytest.raises(StoreUnavailable):
        await store.put(click)
    holder.execute("ROLLBACK")
    holder.close()
    assert await store.find(click.id) == MISSING
    await store.close()


# ---------------------------------------------------------------- planted rows


class Bomb:
    """Unpickling this makes a file: if the file is there, a stored pickle was executed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> object:
        return Path.touch, (self._path,)


def plant(folder: Path, key: object, raw: int, mode: int, value: bytes, filename: str | None = None) -> None:
    with sqlite3.connect(folder / DATABASE) as connection:
        connection.execute(
            "INSERT INTO Cache(key, raw, store_time, access_time, mode, filename, value) VALUES (?, ?, 0, 0, ?, ?, ?)",
            (key, raw, mode, filename, value),
        )
    connection.close()


def test_a_planted_pickle_is_never_executed_and_is_set_aside(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    plant(tmp_path / "s", "c" + "0" * 32, 1, 4, pickle.dumps(Bomb(tmp_path / "executed")))
    [entry] = spool.newest(10)
    assert (entry.key, entry.raw, entry.found.records, len(entry.found.damaged)) == (
        "c" + "0" * 32,
        None,
        [],
        1,
    )
    spool.set_aside(entry, entry.found.damaged[0])
    spool.trim([entry])
    assert len(spool) == 0
    assert not (tmp_path / "executed").exists()
    spool.close()


def test_a_planted_pickled_key_is_passed_over_and_never_executed(tmp_path: Path) -> None:
    """It holds up nobody: the records beside it are still found."""
    spool = make_spool(tmp_path / "s")
    click = bare_click()
    spool.append([(click, encode(click))])
    plant(tmp_path / "s", pickle.dumps(Bomb(tmp_path / "executed")), 0, 1, b"x")
    assert spooled_clicks(spool) == [click]
    assert spool.find(click.id) == click
    assert not (tmp_path / "executed").exists()
    spool.close()


def test_a_planted_file_name_deletes_no_file(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    spool = make_spool(tmp_path / "s")
    plant(tmp_path / "s", "c" + "0" * 32, 1, 2, b"", "../victim")
    for entry in spool.newest(10):
        spool.set_aside(entry, b"")
    spool.trim(spool.newest(10))
    assert victim.read_text() == "precious"
    spool.close()


async def test_a_planted_row_reads_as_missing_through_the_store(tmp_path: Path) -> None:
    store = make_disk(tmp_path / "s")
    click = bare_click()
    await store.put(bare_click())
    key = f"c{click.at_ms:012x}-{click.at_ms:012x}-00000000-0"
    plant(tmp_path / "s", key, 1, 4, pickle.dumps(Bomb(tmp_path / "executed")))
    assert type(await store.find(click.id)).__name__ == "Missing"
    assert not (tmp_path / "executed").exists()
    await store.close()


# ---------------------------------------------------------------- folders and locks


def test_a_spool_folder_is_made_for_us_alone(tmp_path: Path) -> None:
    assert private_folder(tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", ["link", "open", "file"])
def test_a_folder_that_others_may_reach_is_refused(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "s"
    match how:
        case "link":
            (tmp_path / "real").mkdir(mode=0o700)
            folder.symlink_to(tmp_path / "real")
        case "open":
            folder.mkdir()
            folder.chmod(0o755)
        case _:
            folder.write_text("")
    with pytest.raises(ConfigError):
        make_spool(folder)


def test_a_second_holder_of_the_lock_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "spool" / "daemon.lock"
    first = FolderLock(path, "another daemon")
    with pytest.raises(ConfigError, match="in use by another daemon"):
        FolderLock(path, "another daemon")
    assert FolderLock.if_free(path) is None
    first.release()
    FolderLock(path, "another daemon").release()


def test_a_spool_is_adopted_once_its_writer_is_gone(tmp_path: Path) -> None:
    writer, settler = make_spool(tmp_path / "s"), spool_beside(tmp_path / "s")
    assert not settler.adopt()
    writer.close()
    assert settler.adopt()
    with pytest.raises(ConfigError, match="in use"):
        make_spool(tmp_path / "s")
    settler.destroy()
    assert not (tmp_path / "s").exists()


def test_spools_are_found_by_their_file(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("b", "a"):
        make_spool(tmp_path / name).close()
    assert spools_under(tmp_path) == [tmp_path / "a", tmp_path / "b"]


# ---------------------------------------------------------------- the store on it


async def test_the_store_recovers_when_its_folder_becomes_usable(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("not a folder")
    store = make_disk(tmp_path / "s")
    click = bare_click()
    with pytest.raises(StoreUnavailable):
        await store.put(click)
    (tmp_path / "s").unlink()
    await store.probe()
    await store.put(click)
    assert await store.find(click.id) == Found(click)
    await store.close()


async def test_nothing_is_opened_before_the_first_use(tmp_path: Path) -> None:
    store = make_disk(tmp_path / "s")
    assert not (tmp_path / "s").exists()
    await store.close()


async def test_a_record_too_large_is_refused_alone(tmp_path: Path) -> None:
    store = make_disk(tmp_path / "s")
    with pytest.raises(RecordRejected):
        await store.put(bare_click(sealed=bytes(40_000)))
    await store.put(bare_click())
    await store.close()


async def test_the_spools_of_other_writers_are_looked_into(tmp_path: Path) -> None:
    """Also those that came, or went, after the store was made."""
    store = DiskStore(
        lambda: make_spool(tmp_path / "own"),
        synced=True,
        folders=lambda: spools_under(tmp_path),
        open_beside=spool_beside,
    )
    click = bare_click()
    assert await store.find(click.id) == MISSING
    other = make_spool(tmp_path / "other")
    put(other, click)
    assert await store.find(click.id) == Found(click)
    other.destroy()
    assert await store.find(click.id) == MISSING
    assert not (tmp_path / "own").exists(), "looking makes no spool"
    await store.close()


def test_the_worker_makes_the_checkpoints_and_not_the_writer_whom_redirects_wait_for(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    database, log = tmp_path / "s" / DATABASE, tmp_path / "s" / f"{DATABASE}-wal"
    empty = database.stat().st_size
    for _ in range(150):
        put(spool, *(bare_click() for _ in range(200)))
    assert log.stat().st_size > 1000 * 4096  # where SQLite makes one by itself
    assert database.stat().st_size == empty
    beside = spool_beside(tmp_path / "s")
    beside.trim(list(beside.newest(200))[:1])
    beside.close()
    assert database.stat().st_size > empty
    spool.close()


def test_a_reader_waits_for_whoever_mends_the_log_of_a_dead_writer(tmp_path: Path) -> None:
    """SQLite turns every reader away meanwhile: as when two processes open a spool whose writer was killed."""
    click = bare_click()
    spool = make_spool(tmp_path)
    put(spool, click)
    spool.close()
    beside = spool_beside(tmp_path)
    beside._cache.close()  # its connection: the next use opens another one
    holder = sqlite3.connect(tmp_path / DATABASE)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("UPDATE Cache SET tag = NULL")
    holder.commit()
    pause = beside._pause = Releasing(holder)  # type: ignore[assignment]
    assert spooled_clicks(beside) == [click]
    assert pause.pauses == 1
    beside.close()


def test_a_lock_that_cannot_be_had_for_want_of_a_file_is_an_outage(tmp_path: Path) -> None:
    """No descriptor, no room: the store is down, and that is all that a redirect or the books may see of it."""
    (private_folder(tmp_path / "s") / WRITER_LOCK).mkdir()
    with pytest.raises(StoreUnavailable, match=r"writer\.lock"):
        make_spool(tmp_path / "s")


def test_what_an_opening_that_failed_has_left_is_removed(tmp_path: Path) -> None:
    """A disk that stays full is tried again and again, and each try makes a folder of its own."""
    folder = private_folder(tmp_path / "s")
    for name in (DATABASE, f"{DATABASE}-wal", WRITER_LOCK):
        (folder / name).touch()
    remove_unopened(folder)
    remove_unopened(folder)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_of_a_spool_is_not_removed(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "s")
    (folder / "of-the-operator").touch()
    remove_unopened(folder)
    assert [path.name for path in folder.iterdir()] == ["of-the-operator"]
