"""A COMMIT that fails takes nothing with it, is never tried again, and the store goes on elsewhere."""

from __future__ import annotations

import sqlite3
from itertools import count
from pathlib import Path

import pytest

from backends.codec import encode
from backends.disk import DiskStore
from backends.spool import Fact, Spool
from domain.click import Click
from domain.errors import StoreBroken
from domain.ids import ClickIds
from tests.making import spool_beside

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
