"""TRILHA_ACK=chain: the literal fallback, promising less."""

from __future__ import annotations

from pathlib import Path

from chaos.servers import ValkeyServer
from tests.system import System


async def test_in_chain_mode_a_click_is_visible_first_and_spooled_a_moment_later(
    tmp_path: Path, own_valkey: ValkeyServer
) -> None:
    """I8, I11: no click that only Redis has is called stored; yet all reach SQL. With Redis dead, the disk is next."""
    made = await System.on_sqlite(tmp_path, own_valkey.url, ack="chain", deadline_ms="1000")
    made.start()
    try:
        alive = made.load(rate=1, seconds=1000)
        await alive.burst(16)
        books = await made.settled_books(issued=1000)
        assert (books.token_only, books.visible, books.synced) == (1000, 1000, 0)
        own_valkey.kill()
        dead = made.load(rate=1, seconds=1000)
        await dead.burst(16)
        books = await made.settled_books(issued=2000)
        rows = await made.rows()
    finally:
        made.stop()
    assert not [*alive.others, *dead.others]
    assert books.visible == 1000
    assert books.synced + books.token_only == 2000
    assert books.synced > 900
    assert books.balanced, books.faults
    assert {made.click_id(token) for token in (*alive.tokens, *dead.tokens)} == set(rows)
