"""The spool keeps what it acknowledged, counts it exactly, and takes no row that is not ours."""

from __future__ import annotations

import pickle
import sqlite3
from pathlib import Path

import pytest

from backends.codec import decode, encode
from backends.spool import DATABASE, Entry, Fact, Spool, SpoolLock, private_folder, spools_under
from domain.books import MINUTE_MS, BookEntry
from domain.click import Click
from domain.errors import ConfigError, RecordRejected, SpoolFull, StoreUnavailable
from tests.making import NOW, bare_click, full_click, make_disk, make_spool, new_id, start_of


def put(spool: Spool, *facts: Fact) -> None:
    spool.append([(fact, encode(fact)) for fact in facts])


def spooled(spool: Spool) -> dict[int, int]:
    entries = [decode(spool.get(key) or b"") for key in spool.keys("b")]
    return {entry.minute: entry.spooled for entry in entries if isinstance(entry, BookEntry)}


def at_minute(minute: int) -> Click:
    return bare_click(id=new_id(minute * MINUTE_MS + 5))


def test_what_was_appended_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    click = full_click()
    start = start_of(click)
    spool = make_spool(tmp_path / "s")
    put(spool, click, start)
    spool.close()
    again = make_spool(tmp_path / "s")
    assert {decode(e.raw or b"") for e in again.newest(10) if e.key[0] == "s"} == {start}
    assert decode(again.get("c" + click.id.hex) or b"") == click
    again.close()


def test_the_first_record_of_an_id_stays(tmp_path: Path) -> None:
    """I7, and the copies are not counted."""
    first = full_click()
    spool = make_spool(tmp_path / "s")
    put(spool, first)
    put(spool, bare_click(id=first.id), first)
    assert decode(spool.get("c" + first.id.hex) or b"") == first
    assert spooled(spool) == {NOW // MINUTE_MS: 1}
    spool.close()


def test_clicks_are_counted_exactly_by_minute_and_starts_are_not(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    put(spool, at_minute(100), at_minute(100), at_minute(101), start_of(bare_click()))
    put(spool, at_minute(100))
    assert spooled(spool) == {100: 3, 101: 1}
    spool.close()


def test_a_click_of_a_long_past_minute_adds_to_that_minutes_count(tmp_path: Path) -> None:
    """The ring brings such clicks after an outage; a count that started again would unbalance the books."""
    spool = make_spool(tmp_path / "s")
    put(spool, at_minute(100), at_minute(100))
    put(spool, at_minute(500))
    put(spool, at_minute(100))
    assert spooled(spool) == {100: 3, 500: 1}
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


def test_newest_gives_starts_then_clicks_from_the_newest_then_counts(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    old, new = at_minute(100), at_minute(101)
    put(spool, old, new, start_of(old))
    keys = [entry.key for entry in spool.newest(10)]
    assert [key[0] for key in keys] == ["s", "c", "c", "b", "b"]
    assert keys[1:3] == ["c" + new.id.hex, "c" + old.id.hex]
    assert len(spool.newest(2)) == 2
    spool.close()


def test_trimming_removes_what_was_read_and_leaves_what_changed_since(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "s")
    put(spool, at_minute(100))
    read = spool.newest(10)
    put(spool, at_minute(100))
    spool.trim(read)
    assert spooled(spool) == {100: 2}
    assert len(spool.keys("c")) == 1
    spool.close()


def test_at_its_quota_the_spool_takes_nothing_and_drops_nothing(tmp_path: Path) -> None:
    """I13."""
    spool = make_spool(tmp_path / "s", quota=200_000)
    kept = []
    while spool.volume() < 200_000:
        kept.append(bare_click(sealed=bytes(10_000)))
        put(spool, kept[-1])
    with pytest.raises(SpoolFull):
        put(spool, bare_click())
    with pytest.raises(SpoolFull):
        spool.probe()
    assert 5 < len(kept) < 30
    assert [spool.get("c" + click.id.hex) for click in kept] == [encode(click) for click in kept]
    spool.trim(spool.newest(100))
    put(spool, bare_click())
    spool.close()


async def test_the_receipt_comes_after_the_commit_and_never_before(tmp_path: Path) -> None:
    """I11: when `put` returns, another connection reads the click, which it did not before."""
    store = make_disk(tmp_path / "s")
    await store.put(bare_click())
    reader = sqlite3.connect(tmp_path / "s" / DATABASE, isolation_level=None)
    assert store._spool is not None
    for _ in range(20):
        click = bare_click()
        key = "c" + click.id.hex
        assert reader.execute("SELECT count(*) FROM Cache WHERE key = ?", (key,)).fetchone() == (0,)
        await store.put(click)
        assert reader.execute("SELECT count(*) FROM Cache WHERE key = ?", (key,)).fetchone() == (1,)
    reader.close()
    await store.close()


async def test_a_commit_that_cannot_happen_gives_no_receipt(tmp_path: Path) -> None:
    """I11: while another process holds the write lock, the click is refused, and it is not there afterwards."""
    store = make_disk(tmp_path / "s")
    await store.put(bare_click())
    assert store._spool is not None
    holder = sqlite3.connect(tmp_path / "s" / DATABASE, isolation_level=None)
    await store._in_thread(lambda spool: spool._cache._con.execute("PRAGMA busy_timeout = 0"))
    holder.execute("BEGIN IMMEDIATE")
    click = bare_click()
    with pytest.raises(StoreUnavailable):
        await store.put(click)
    holder.execute("ROLLBACK")
    assert holder.execute("SELECT count(*) FROM Cache WHERE key = ?", ("c" + click.id.hex,)).fetchone() == (
        0,
    )
    holder.close()
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
    assert entry == Entry("c" + "0" * 32, None)
    with pytest.raises(ValueError, match="not a record"):
        spool.get(entry.key)
    spool.set_aside(entry)
    assert len(spool) == 0
    assert not (tmp_path / "executed").exists()
    spool.close()


def test_a_planted_pickled_key_is_passed_over_and_never_executed(tmp_path: Path) -> None:
    """It holds up nobody: the records beside it are still found."""
    spool = make_spool(tmp_path / "s")
    click = bare_click()
    spool.append([(click, encode(click))])
    plant(tmp_path / "s", pickle.dumps(Bomb(tmp_path / "executed")), 0, 1, b"x")
    assert f"c{click.id.hex}" in [entry.key for entry in spool.newest(10)]
    assert len(spool.keys("")) == 2
    assert not (tmp_path / "executed").exists()
    spool.close()


def test_a_planted_file_name_deletes_no_file(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    spool = make_spool(tmp_path / "s")
    plant(tmp_path / "s", "c" + "0" * 32, 1, 2, b"", "../victim")
    for entry in spool.newest(10):
        spool.set_aside(entry)
    assert victim.read_text() == "precious"
    spool.close()


async def test_a_planted_row_reads_as_missing_through_the_store(tmp_path: Path) -> None:
    store = make_disk(tmp_path / "s")
    click = bare_click()
    await store.put(bare_click())
    plant(tmp_path / "s", "c" + click.id.hex, 1, 4, pickle.dumps(Bomb(tmp_path / "executed")))
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
    first = SpoolLock(path, "daemon")
    with pytest.raises(ConfigError, match="in use by another daemon"):
        SpoolLock(path, "daemon")
    first.release()
    SpoolLock(path, "daemon").release()


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
    assert await store.size() == (2, (await store.size())[1])
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


async def test_a_siblings_spool_is_looked_into(tmp_path: Path) -> None:
    from backends.disk import DiskStore

    click = bare_click()
    sibling = make_spool(tmp_path / "other")
    put(sibling, click)
    sibling.close()
    store = DiskStore(
        lambda: make_spool(tmp_path / "own"), synced=True, siblings=lambda: [make_spool(tmp_path / "other")]
    )
    assert type(await store.find(click.id)).__name__ == "Found"
    await store.close()
