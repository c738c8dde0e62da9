"""Keys shared by nodes through SQL, on SQLite and on PostgreSQL; and what is unreadable once a key is destroyed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.redis import RedisStore
from backends.sql.engine import make_engine
from backends.sql.keys import SqlKeys
from backends.sql.ledger import SqlLedger
from backends.sql.schema import shared_keys
from domain.clock import ManualClock
from domain.errors import ConfigError, StoreUnavailable
from domain.keys import SharedKey
from domain.outcomes import Found
from privacy.keyfile import decode, write
from privacy.keyring import Keyring, current_period
from privacy.keys import PERIOD_MS, Keys
from privacy.seal import Original, Sealer
from privacy.shared_keys import merged
from privacy.sharing import Sharing
from privacy.token import Minter
from tests.making import NOW, PATIENT, full_click, make_disk, new_id, person_key

TODAY = NOW // PERIOD_MS
DAY = 86_400
ORIGINAL = Original(ip="203.0.113.9", user_agent="Mozilla/5.0", fbclid="IwAR")
AWAY = "sqlite+aiosqlite:////no/such/folder/trilha.db"


@dataclass
class Node:
    """A machine with a ring, and SQL that can be taken away from it."""

    folder: Path
    url: str
    clock: ManualClock
    engines: list[AsyncEngine] = field(default_factory=list)

    def start(self, *, away: bool = False) -> None:
        engine = make_engine(AWAY if away else self.url, patience=PATIENT)
        self.engines.append(engine)
        self.ring = Keyring(self.path, self.clock)
        self.table = SqlKeys(engine)
        self.sharing = Sharing(self.ring, self.table, self.clock)

    def retain(self) -> None:
        """What the worker's pass does with keys, at seven days."""
        self.ring.destroy_before(current_period(self.clock) - 7)

    @property
    def path(self) -> Path:
        return self.folder / "secrets" / "keyring.json"

    def seal(self, click: UUID, period: int = TODAY) -> bytes:
        blob = Sealer(self.ring).seal(ORIGINAL, click, period)
        assert blob is not None
        return blob

    def open(self, blob: bytes, click: UUID) -> Original | None:
        return Sealer(self.ring).open(blob, click)

    def minter(self) -> Minter:
        return Minter(self.ring, self.clock, node=1, attribution_days=28)


@dataclass
class Cluster:
    url: str
    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(now_ms=NOW))
    nodes: list[Node] = field(default_factory=list)

    def node(self, **how: bool) -> Node:
        """A further node: its ring is an imported copy of the first one's, without its periods."""
        made = Node(self.folder / str(len(self.nodes)), self.url, self.clock)
        if self.nodes:
            Keyring.imported(made.path, self.clock, self.nodes[0].ring.export())
            without_periods(made.path)
        else:
            Keyring.create(made.path, self.clock)
        made.start(**how)
        self.nodes.append(made)
        return made

    async def raw(self) -> list[SharedKey]:
        return list(await SqlKeys(self.nodes[0].engines[0]).rows())

    def backup(self) -> bytes:
        """The SQLite file as a backup would have it, pages of the log included."""
        path = Path(self.url.removeprefix("sqlite+aiosqlite:///"))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(":memory:")) as target:
            source.backup(target)
            return target.serialize()


def without_periods(path: Path) -> None:
    keys = decode(path.read_text())
    assert keys is not None
    write(path, replace(keys, periods={}))


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cluster]:
    url = request.getfixturevalue(request.param)
    engine = make_engine(url, patience=PATIENT)
    await engine.dispose()
    made = Cluster(url, tmp_path / "nodes")
    yield made
    for node in made.nodes:
        for engine in node.engines:
            await engine.dispose()


# ---------------------------------------------------------------- the table


async def test_the_first_offer_of_a_place_wins_and_comes_back_as_it_went(cluster: Cluster) -> None:
    table = cluster.node().table
    first = SharedKey(kind="mac", number=3, master="m", wrapped=b"one", created_ms=NOW, active_ms=NOW + 1)
    await table.offer([first])
    await table.offer([replace(first, wrapped=b"two"), replace(first, number=4, active_ms=0)])
    assert await table.rows() == [first, replace(first, number=4, active_ms=0)]


async def test_a_key_is_replaced_only_where_it_is_still_what_it_was(cluster: Cluster) -> None:
    table = cluster.node().table
    old = SharedKey(kind="period", number=3, master="m", wrapped=b"one", created_ms=NOW)
    new, late = replace(old, wrapped=b"two", master="n"), replace(old, wrapped=b"three")
    await table.offer([old])
    await table.replace([(old, new)])
    await table.replace([(old, late)])
    await table.remove([old])
    assert await table.rows() == [new]


async def test_a_destroyed_key_leaves_a_tombstone_that_no_offer_replaces(cluster: Cluster) -> None:
    table = cluster.node().table
    keys = [
        SharedKey(kind="period", number=n, copy=c, master="m", wrapped=b"k", created_ms=NOW)
        for n, c in ((1, 0), (1, 9), (2, 0), (3, 0))
    ]
    mac = SharedKey(kind="mac", number=1, master="m", wrapped=b"k", created_ms=NOW, active_ms=0)
    await table.offer([*keys, mac])
    await table.destroy("period", before=3, at_ms=NOW + 5)
    await table.offer(keys)
    dead = replace(keys[2], wrapped=None, destroyed_ms=NOW + 5)
    assert await table.rows() == [mac, dead, keys[3]]
    async with cluster.nodes[0].engines[0].connect() as connection:
        found = (
            await connection.execute(select(shared_keys.c.wrapped).where(shared_keys.c.number < 3))
        ).scalars()
        assert sorted(found, key=str) == [None, None, None, b"k"]


# ---------------------------------------------------------------- sharing


async def test_two_nodes_seal_and_see_visitors_with_the_same_keys(cluster: Cluster) -> None:
    one, two = cluster.node(), cluster.node()
    await one.sharing.refresh()
    await two.sharing.refresh()
    click = new_id()
    assert two.open(one.seal(click), click) == ORIGINAL
    assert one.ring.keys == two.ring.keys
    for _ in range(20):
        cluster.clock.advance(DAY)
        await two.sharing.refresh()
        await one.sharing.refresh()
        assert one.ring.keys.periods == two.ring.keys.periods
    assert max(one.ring.keys.periods) == TODAY + 27


async def test_many_nodes_that_provision_at_once_end_with_one_key_a_day(cluster: Cluster) -> None:
    nodes = [cluster.node() for _ in range(5)]
    for node in nodes:
        without_periods(node.path)
    await asyncio.gather(*(node.sharing.refresh() for node in nodes))
    await asyncio.gather(*(node.sharing.refresh() for node in nodes))
    assert all(node.ring.keys == nodes[0].ring.keys for node in nodes)
    assert sorted(nodes[0].ring.keys.periods) == list(range(TODAY, TODAY + 8))
    assert not any(pair.alternates for pair in nodes[0].ring.keys.periods.values())


async def test_sql_has_no_key_in_the_clear_and_nothing_without_the_master(cluster: Cluster) -> None:
    one = cluster.node()
    await one.sharing.refresh()
    stored = b"".join(row.wrapped or b"" for row in await cluster.raw())
    keys = one.ring.keys
    secrets = [key for pair in keys.periods.values() for key in (pair.seal, pair.visitor)]
    secrets += [keys.mac[0].key, keys.lasting, keys.master.fixed, keys.master.chain]
    assert not [secret for secret in secrets if secret in stored]
    stranger = Keys.fresh(TODAY)
    assert [
        stranger.master.unwrap(replace(row, master=stranger.master_id)) for row in await cluster.raw()
    ] == [None] * 9


async def test_a_node_starts_and_goes_on_from_its_ring_while_sql_is_down(cluster: Cluster) -> None:
    one = cluster.node()
    await one.sharing.refresh()
    one.start(away=True)
    for _ in range(6):
        await one.sharing.refresh()
        click = new_id()
        assert one.open(one.seal(click, cluster.clock.now_ms() // PERIOD_MS), click) == ORIGINAL
        cluster.clock.advance(DAY)


async def test_keys_made_while_sql_was_away_for_too_long_still_open_everywhere(cluster: Cluster) -> None:
    """The first to come to SQL is used from then on; the other one opens, on every node."""
    one, two = cluster.node(), cluster.node()
    await one.sharing.refresh()
    await two.sharing.refresh()
    one.start(away=True)
    two.start(away=True)
    cluster.clock.advance(20 * DAY)
    today, sealed = TODAY + 20, []
    for node in (one, two):
        await node.sharing.refresh()
        click = new_id()
        sealed.append((node.seal(click, today), click))
    assert one.open(*sealed[1]) is None
    for node in (one, two, one):
        node.start()
        await node.sharing.refresh()
    assert [node.open(*blob) for node in (one, two) for blob in sealed] == [ORIGINAL] * 4
    assert one.ring.keys.periods == two.ring.keys.periods
    third = cluster.node()
    await third.sharing.refresh()
    assert [third.open(*blob) for blob in sealed] == [ORIGINAL] * 2


async def test_a_ring_of_another_installation_is_kept_out_of_sql(cluster: Cluster) -> None:
    one = cluster.node()
    await one.sharing.refresh()
    before = await cluster.raw()
    stranger = Node(cluster.folder / "stranger", cluster.url, cluster.clock)
    Keyring.create(stranger.path, cluster.clock)
    stranger.start()
    cluster.nodes.append(stranger)
    cluster.clock.advance(9 * DAY)
    await stranger.sharing.refresh()
    assert await cluster.raw() == before
    assert stranger.seal(new_id(), TODAY + 9)
    with pytest.raises(ConfigError, match="trilha keys import"):
        await stranger.sharing.rotate_mac(window_days=28, after_ms=0)


# ---------------------------------------------------------------- destruction


async def test_the_worker_destroys_what_is_too_old_and_every_node_follows(cluster: Cluster) -> None:
    worker, other = cluster.node(), cluster.node()
    await worker.sharing.refresh()
    await other.sharing.refresh()
    click = new_id()
    blob = worker.seal(click)
    cluster.clock.advance(7 * DAY)
    worker.retain()
    await worker.sharing.refresh()
    await other.sharing.refresh()
    assert other.open(blob, click) == ORIGINAL
    cluster.clock.advance(DAY)
    worker.retain()
    await worker.sharing.refresh()
    await other.sharing.refresh()
    assert [node.open(blob, click) for node in (worker, other)] == [None, None]
    assert min(row.number for row in await cluster.raw() if row.kind == "period" and row.wrapped) == TODAY + 1
    assert [f'"{TODAY}"' in node.path.read_text() for node in (worker, other)] == [False, False]


async def test_what_was_destroyed_while_sql_was_down_is_destroyed_there_later(cluster: Cluster) -> None:
    one = cluster.node()
    await one.sharing.refresh()
    one.start(away=True)
    one.ring.destroy_before(TODAY + 1)
    with pytest.raises(StoreUnavailable):
        await one.sharing.exchange()
    one.start()
    await one.sharing.refresh()
    assert [row.number for row in await cluster.raw() if row.kind == "period" and not row.wrapped] == [TODAY]


async def test_a_restored_old_table_brings_no_destroyed_key_back_to_any_node(cluster: Cluster) -> None:
    one, two = cluster.node(), cluster.node()
    await one.sharing.refresh()
    await two.sharing.refresh()
    backup = await cluster.raw()
    click = new_id()
    blob = one.seal(click)
    one.ring.destroy_before(TODAY + 1)
    await one.sharing.refresh()
    async with one.engines[0].begin() as connection:  # the backup is put back
        await connection.execute(shared_keys.delete())
    await one.table.offer(backup)
    await two.sharing.refresh()  # this one had not heard of it: its ring has the key still
    await one.sharing.refresh()
    await two.sharing.refresh()
    assert [node.open(blob, click) for node in (one, two)] == [None, None]
    assert [row.number for row in await cluster.raw() if not row.wrapped] == [TODAY]


async def test_after_destruction_neither_redis_spool_sql_nor_a_backup_yields_the_original(
    cluster: Cluster, tmp_path: Path, valkey_url: str
) -> None:
    """I14: not even to who has the ring of that moment, its masters included."""
    one = cluster.node()
    await one.sharing.refresh()
    click = full_click(sealed=None)
    click = full_click(id=click.id, sealed=one.seal(click.id))
    engine, disk, redis = one.engines[0], make_disk(tmp_path / "spool"), RedisStore(valkey_url, ttl_ms=60_000)
    await redis.probe()
    for store in (SqlLedger(engine, person_key), disk, redis):
        await store.put(click)
    backup = await cluster.raw()
    image = cluster.backup() if cluster.url.startswith("sqlite") else b""
    assert one.open(click.sealed or b"", click.id) == ORIGINAL

    one.ring.destroy_before(TODAY + 1)
    await one.sharing.refresh()

    for store in (SqlLedger(engine, person_key), disk, redis):
        found = await store.find(click.id)
        assert isinstance(found, Found)
        assert found.click.sealed == click.sealed
        assert one.open(found.click.sealed or b"", click.id) is None
    keys = one.ring.keys
    days = [row for row in backup if row.kind == "period" and row.number == TODAY]
    assert len(days) == 1
    assert [replace(master, day=TODAY).unwrap(day) for master in keys.masters for day in days] == [None]
    if image:
        restored = tmp_path / "restored.db"
        restored.write_bytes(image)
        other = make_engine(f"sqlite+aiosqlite:///{restored}", patience=PATIENT)
        assert TODAY not in merged(keys, await SqlKeys(other).rows(), now_ms=NOW).keys.periods
        await other.dispose()
    await redis.close()
    await disk.close()


async def test_sqlite_overwrites_what_a_tombstone_replaces(cluster: Cluster) -> None:
    if not cluster.url.startswith("sqlite"):
        return
    one = cluster.node()
    await one.sharing.refresh()
    async with one.engines[0].connect() as connection:
        assert (await connection.exec_driver_sql("PRAGMA secure_delete")).scalar_one() == 1
    [wrapped] = [row.wrapped or b"" for row in await cluster.raw() if row.number == TODAY]
    assert wrapped in cluster.backup()
    one.ring.destroy_before(TODAY + 1)
    await one.sharing.refresh()
    assert wrapped not in cluster.backup()


# ---------------------------------------------------------------- rotation


async def test_every_node_verifies_with_a_new_mac_key_before_any_mints_with_it(cluster: Cluster) -> None:
    one, two = cluster.node(), cluster.node()
    await one.sharing.refresh()
    await two.sharing.refresh()
    assert await one.sharing.rotate_mac(window_days=28, after_ms=3_600_000) == 1
    await two.sharing.refresh()
    assert [node.ring.mac_key()[0] for node in (one, two)] == [0, 0]
    cluster.clock.advance(3600)
    await one.sharing.refresh()
    text = one.minter().mint(new_id(cluster.clock.now_ms()), 7, b"8 bytes!").text
    assert (one.ring.mac_key()[0], two.ring.mac_key()[0]) == (1, 0)
    assert two.minter().verify(text).link_id == 7
    await two.sharing.refresh()
    assert two.ring.mac_key() == one.ring.mac_key()


async def test_two_rotations_at_the_same_moment_are_one(cluster: Cluster) -> None:
    one, two = cluster.node(), cluster.node()
    await one.sharing.refresh()
    await two.sharing.refresh()
    await asyncio.gather(
        *(node.sharing.rotate_mac(window_days=28, after_ms=1000) for node in (one, two)),
        return_exceptions=True,
    )
    await one.sharing.refresh()
    await two.sharing.refresh()
    assert one.ring.keys.mac == two.ring.keys.mac
    assert sorted(one.ring.keys.mac) == [0, 1]


async def test_an_emergency_exchanges_the_days_to_come_and_leaves_today(cluster: Cluster) -> None:
    one, two = cluster.node(), cluster.node()
    await one.sharing.refresh()
    await two.sharing.refresh()
    before = dict(one.ring.keys.periods)
    first = await one.sharing.rotate_periods()
    await two.sharing.refresh()
    assert first in {TODAY + 1, TODAY + 2}
    assert one.ring.keys.periods == two.ring.keys.periods
    for number, pair in one.ring.keys.periods.items():
        assert (pair == before[number]) == (number < first)
        assert not pair.alternates


async def test_a_master_is_rotated_node_by_node_and_the_older_one_then_opens_nothing(
    cluster: Cluster,
) -> None:
    one, two = cluster.node(), cluster.node()
    await one.sharing.refresh()
    await two.sharing.refresh()
    keys, backup = one.ring.keys, await cluster.raw()
    one.ring.prepare_master()
    Keyring.imported(two.path, cluster.clock, one.ring.export())
    await two.sharing.refresh()
    assert await cluster.raw() == backup
    await two.sharing.rotate_master()
    await one.sharing.refresh()
    for node in (one, two):
        await node.sharing.finish_master()
        assert node.ring.keys.periods == keys.periods
    assert [keys.master.unwrap(replace(row, master=keys.master_id)) for row in await cluster.raw()] == [
        None
    ] * 9
    assert [one.ring.keys.master.unwrap(row) for row in backup] == [None] * 9
    cluster.clock.advance(3 * DAY)
    await one.sharing.refresh()
    await two.sharing.refresh()
    assert one.ring.keys == two.ring.keys


async def test_a_table_that_no_master_here_opens_is_replaced_only_by_force(cluster: Cluster) -> None:
    one = cluster.node()
    await one.sharing.refresh()
    lost = Node(cluster.folder / "lost", cluster.url, cluster.clock)
    Keyring.create(lost.path, cluster.clock)
    lost.start()
    cluster.nodes.append(lost)
    with pytest.raises(ConfigError, match="another master"):
        await lost.sharing.rotate_master()
    await lost.sharing.rotate_master(force=True)
    assert {row.master for row in await cluster.raw()} == {lost.ring.keys.master_id}


async def test_rotating_all_of_it_fails_no_click_that_is_sealed_minted_or_opened_meanwhile(
    cluster: Cluster,
) -> None:
    one, two = cluster.node(), cluster.node()
    await one.sharing.refresh()
    await two.sharing.refresh()
    done, made = asyncio.Event(), 0

    async def traffic() -> None:
        nonlocal made
        sealers, minters = [Sealer(n.ring) for n in (one, two)], [n.minter() for n in (one, two)]
        while not done.is_set():
            for here, there in ((0, 1), (1, 0)):
                click = new_id(cluster.clock.now_ms())
                blob = sealers[here].seal(ORIGINAL, click, TODAY)
                text = minters[here].mint(click, 7, b"8 bytes!").text
                assert sealers[there].open(blob or b"", click) == ORIGINAL
                assert minters[there].verify(text).id == click
                made += 1
            # Through a thread, so that those of the stores get their turn: a busy loop would keep the interpreter.
            await asyncio.to_thread(int)

    running = asyncio.create_task(traffic())
    await asyncio.sleep(0)
    for round_ in range(3):
        await one.sharing.rotate_periods()
        await two.sharing.refresh()
        await one.sharing.rotate_mac(window_days=0, after_ms=1000)
        await two.sharing.refresh()
        cluster.clock.advance(2)
        await asyncio.gather(one.sharing.refresh(), two.sharing.refresh())
        one.ring.prepare_master()
        Keyring.imported(two.path, cluster.clock, one.ring.export())
        await (one, two)[round_ % 2].sharing.rotate_master()
        await asyncio.gather(one.sharing.refresh(), two.sharing.refresh())
        for node in (one, two):
            await node.sharing.finish_master()
            node.ring.destroy_before(TODAY)
    done.set()
    await running
    assert made > 20
    assert (one.ring.mac_key()[0], len(one.ring.keys.masters)) == (3, 1)
