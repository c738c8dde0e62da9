"""A COMMIT that fails takes nothing with it, is never tried again, and the store goes on elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from backends.codec import encode, pack
from backends.disk import DiskStore
from backends.spool import Fact, Spool, spools_under
from chaos.inside.sqlite_vfs import Watch, watch
from domain.click import Click
from domain.errors import StoreBroken, StoreUnavailable
from domain.ids import ClickIds
from domain.outcomes import Durability
from tests.making import make_disk, spool_beside

AT_MS = 1_800_000_000_000


def sabotage(folder: Path) -> None:
    """A foreign key that is checked at COMMIT only, so that the COMMIT itself fails."""
    with sqlite3.connect(folder / "cache.db") as saboteur:
        saboteur.executescript(
            "CREATE TABLE p (id INTEGER PRIMARY KEY);"
            "CREATE TABLE q (id REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED);"
            "CREATE TRIGGER t AFTER INSERT ON Cache BEGIN INSERT INTO q VALUES (1); END;"
        )
    saboteur.close()


def _record() -> tuple[Fact, bytes]:
    click = Click(id=ClickIds().new(AT_MS), link_id=1, node=0, ad_key=b"12345678")
    return click, encode(click)


def test_after_a_failed_commit_the_batch_is_not_kept_and_nothing_is_written_there_again(
    tmp_path: Path,
) -> None:
    """I11: the failing batch raises and counts nothing; what was acknowledged before stays readable."""
    spool = Spool(tmp_path / "spool", quota=10**9, synced=True, boot="boot")
    kept = _record()
    spool.append([kept])
    sabotage(tmp_path / "spool")
    spool._cache._con.execute("PRAGMA foreign_keys=ON")
    lost = _record()
    for _ in range(2):
        with pytest.raises(StoreBroken):
            spool.append([lost])
    with pytest.raises(StoreBroken):
        spool.probe()
    assert (spool.find(kept[0].id), spool.find(lost[0].id)) == (kept[0], None)
    spool.close()


async def test_the_store_goes_on_in_a_fresh_spool_and_the_broken_one_may_be_adopted(tmp_path: Path) -> None:
    numbers = count()
    store = DiskStore(
        lambda: Spool(tmp_path / str(next(numbers)), quota=10**9, synced=True, boot="boot"), synced=True
    )
    first, second = _record()[0], _record()[0]
    await store.put(first)
    sabotage(tmp_path / "0")
    await store._in_thread(lambda: store._own()._cache._con.execute("PRAGMA foreign_keys=ON"))
    with pytest.raises(StoreBroken):
        await store.put(second)
    await store.put(second)
    broken, fresh = spool_beside(tmp_path / "0"), spool_beside(tmp_path / "1")
    assert (broken.find(first.id), broken.find(second.id), fresh.find(second.id)) == (first, None, second)
    assert (broken.adopt(), fresh.adopt()) == (True, False)
    broken.close()
    fresh.close()
    await store.close()


# ---------------------------------------------------------------- a spy below SQLite (I11)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watch]:
    with watch(tmp_path) as found:
        yield found


async def test_synced_is_said_after_an_fsync_of_the_log_and_never_before(
    tmp_path: Path, watched: Watch
) -> None:
    """One fsync serves all that wait for it; each receipt has one between its put and its answer."""
    store = make_disk(tmp_path / "s")
    await store.put(_record()[0])
    for _ in range(20):
        before = watched.syncs
        receipt = await store.put_batch([pack(_record()[0]) for _ in range(5)])
        assert (receipt.durability, watched.syncs - before) == (Durability.SYNCED, 1)
    await store.close()


async def test_written_is_said_without_an_fsync_and_never_called_synced(
    tmp_path: Path, watched: Watch
) -> None:
    store = DiskStore(lambda: Spool(tmp_path / "s", quota=10**9, synced=False, boot="boot"), synced=False)
    await store.put(_record()[0])
    before = watched.syncs
    receipt = await store.put_batch([pack(_record()[0])])
    assert (receipt.durability, watched.syncs - before) == (Durability.WRITTEN, 0)
    await store.close()


async def test_after_a_failed_fsync_nothing_is_promised_from_that_spool_again(
    tmp_path: Path, watched: Watch
) -> None:
    """The put fails, the next one goes to a fresh folder, and what was acknowledged before is readable in the old one.

    COMMIT was written before its fsync failed, so the click is there all the same: it must not be spooled, and counted,
    once more (I8).
    """
    numbers = count()
    store = DiskStore(
        lambda: Spool(tmp_path / str(next(numbers)), quota=10**9, synced=True, boot="boot"), synced=True
    )
    first, lost, later = (_record()[0] for _ in range(3))
    await store.put(first)
    watched.deaf = True
    with pytest.raises(StoreBroken):
        await store.put_batch([pack(lost)])
    watched.deaf = False
    await store.put_batch([pack(later), pack(lost)])
    old, new = spool_beside(tmp_path / "0"), spool_beside(tmp_path / "1")
    assert [old.find(click.id) for click in (first, lost, later)] == [first, lost, None]
    assert [new.find(click.id) for click in (first, lost, later)] == [None, None, later]
    old.close()
    new.close()
    await store.close()


@pytest.mark.parametrize("synced", [True, False])
async def test_a_power_cut_takes_what_was_written_and_leaves_what_was_synced(
    tmp_path: Path, watched: Watch, synced: bool
) -> None:
    """I1. The second case shows that the cut really takes something."""
    store = DiskStore(lambda: Spool(tmp_path / "s", quota=10**9, synced=synced, boot="boot"), synced=synced)
    clicks = [_record()[0] for _ in range(5)]
    for click in clicks:
        await store.put_batch([pack(click)])
    leave = watched.crash(power=False)
    await store.close()
    leave()
    spool = spool_beside(tmp_path / "s")
    assert [spool.find(click.id) is not None for click in clicks] == [synced] * 5
    spool.close()


async def test_what_was_left_behind_is_remembered_through_further_failures(
    tmp_path: Path, watched: Watch
) -> None:
    """The ring brings it again and again, in company, while the disk goes on failing; it is spooled in one place only."""
    numbers = count()
    store = DiskStore(
        lambda: Spool(tmp_path / str(next(numbers)), quota=10**9, synced=True, boot="boot"), synced=True
    )
    await store.put(_record()[0])
    left, other = (pack(_record()[0]) for _ in range(2))
    watched.deaf = True
    for batch in ([left], [left, other], [other, left]):
        with pytest.raises(StoreUnavailable):
            await store.put_batch(batch)
    watched.deaf = False
    await store.put_batch([left, other])
    await store.close()
    spools = [spool_beside(folder) for folder in spools_under(tmp_path)]
    for click, _ in (left, other):
        assert sum(spool.find(click.id) is not None for spool in spools) == 1
    for spool in spools:
        spool.close()
