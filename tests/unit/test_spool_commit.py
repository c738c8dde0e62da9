"""A COMMIT that fails takes nothing with it and leaves a spool that works."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from backends.codec import encode
from backends.spool import Fact, Spool
from domain.click import Click
from domain.errors import StoreUnavailable
from domain.ids import ClickIds

AT_MS = 1_800_000_000_000


def _record() -> tuple[Fact, bytes]:
    click = Click(id=ClickIds().new(AT_MS), link_id=1, node=0, ad_key=b"12345678")
    return click, encode(click)


def test_after_a_failed_commit_the_batch_is_not_kept_and_the_next_one_is(tmp_path: Path) -> None:
    """I11: the failing batch raises and counts nothing; its connection, still inside a transaction, is not used again."""
    spool = Spool(tmp_path / "spool", quota=10**9, synced=True, boot="boot")
    spool.append([_record()])
    with sqlite3.connect(tmp_path / "spool" / "cache.db") as saboteur:
        # A foreign key that is checked at COMMIT only, so that the COMMIT itself fails.
        # Another process has left a weaker setting behind, which a new connection would take over.
        saboteur.execute("UPDATE Settings SET value = 1 WHERE key = 'sqlite_synchronous'")
        saboteur.executescript(
            "CREATE TABLE p (id INTEGER PRIMARY KEY);"
            "CREATE TABLE q (id REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED);"
            "CREATE TRIGGER t AFTER INSERT ON Cache BEGIN INSERT INTO q VALUES (1); END;"
        )
    spool._cache._con.execute("PRAGMA foreign_keys=ON")
    with pytest.raises(StoreUnavailable):
        spool.append([_record()])
    with sqlite3.connect(tmp_path / "spool" / "cache.db") as repairer:
        repairer.execute("DROP TRIGGER t")
    saboteur.close()
    repairer.close()

    assert spool._cache._con.execute("PRAGMA synchronous").fetchone() == (2,), (
        "synced would be a false promise"
    )
    kept = _record()
    spool.append([kept])
    assert len(spool.keys("c")) == 2
    assert spool.get(f"c{kept[0].id.hex}") == kept[1]
    spool.close()
