"""PostgreSQL on several hosts: the one that takes writes is found, and left when it does not any more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.sql.engine import make_engine
from backends.sql.health import in_plaintext, postgres_of
from backends.sql.ledger import SqlLedger
from backends.sql.migrate import migrate
from chaos.servers import HOST, PostgresServer
from chaos.servers.postgres_replica import PostgresReplica
from cli.doctor_sql import sql
from domain.errors import StoreUnavailable
from runtime.settings import load_settings
from tests.making import PATIENT, bare_click, person_key


@pytest.fixture
def pair() -> Iterator[tuple[PostgresServer, PostgresReplica]]:
    with PostgresServer() as primary, PostgresReplica(primary) as replica:
        yield primary, replica


def url_of(*servers: PostgresServer) -> str:
    hosts = "&".join(f"host={HOST}:{server.port}" for server in servers)
    return f"postgresql+asyncpg://postgres@/postgres?{hosts}"


async def put(ledger: SqlLedger) -> bool:
    click = bare_click()
    try:
        await ledger.put(click)
    except StoreUnavailable:
        return False
    return (await ledger.row(click.id)) is not None


async def test_the_replica_is_left_alone_until_it_is_promoted_and_then_found(
    pair: tuple[PostgresServer, PostgresReplica],
) -> None:
    """Whatever the order of the hosts; what was answered before is there afterwards."""
    primary, replica = pair
    engine = make_engine(url_of(replica, primary), patience=PATIENT)
    await migrate(engine)
    ledger, kept = SqlLedger(engine, person_key), bare_click()
    await ledger.put(kept)
    found = await postgres_of(engine)
    assert found is not None
    assert (found.replicas, found.synchronous, found.commits_early) == (1, 1, False)
    primary.kill()
    assert not await put(ledger)
    replica.promote()
    # Of connections to the dead one there may be one more to find out.
    assert [await put(ledger) for _ in range(2)][-1]
    assert await ledger.row(kept.id) is not None
    await engine.dispose()


async def test_a_server_that_only_reads_from_now_on_is_left(
    pair: tuple[PostgresServer, PostgresReplica],
) -> None:
    """An operator demotes the primary while its connections stay open."""
    primary, replica = pair
    engine = make_engine(url_of(primary, replica), patience=PATIENT)
    await migrate(engine)
    ledger = SqlLedger(engine, person_key)
    assert await put(ledger)
    replica.promote()
    primary.ask("ALTER SYSTEM SET synchronous_standby_names = ''")
    primary.ask("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.ask("SELECT pg_reload_conf()")
    outcome = [await put(ledger) for _ in range(20)]
    assert outcome[-1]
    assert replica.ask("SELECT count(*) FROM clicks") != "1"
    await engine.dispose()


async def test_the_doctor_warns_of_replicas_that_no_commit_waits_for(tmp_path: Path) -> None:
    with PostgresServer() as primary, PostgresReplica(primary, synchronous=False):
        engine = make_engine(primary.url(), patience=PATIENT)
        await migrate(engine)
        await engine.dispose()
        given = {"TRILHA_HOME_DIR": str(tmp_path), "TRILHA_SQL_URL": primary.url()}
        found = await sql(load_settings(given))
    assert (found.verdict, "none is synchronous" in found.detail) == ("warning", True)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("postgresql+asyncpg://t@127.0.0.1/t", False),
        ("postgresql+asyncpg://t@/t?host=/run/postgresql", False),
        ("postgresql+asyncpg://t@db.example.com/t", True),
        ("postgresql+asyncpg://t@db.example.com/t?ssl=prefer", True),
        ("postgresql+asyncpg://t@db.example.com/t?ssl=verify-full", False),
        ("postgresql+asyncpg://t@/t?host=localhost:5432&host=b.example.com:5432", True),
        ("postgresql+asyncpg://t@/t?host=a:5432&host=b:5432&sslmode=require", False),
    ],
)
def test_the_doctor_warns_of_another_host_without_encryption(url: str, *, warned: bool) -> None:
    assert in_plaintext(url) is warned


async def test_no_error_names_the_password() -> None:
    engine = make_engine("postgresql+asyncpg://t:hunter2@/t?host=127.0.0.1:1&host=127.0.0.1:2", patience=1)
    with pytest.raises(StoreUnavailable) as caught:
        await SqlLedger(engine, person_key).row(bare_click().id)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"
    await engine.dispose()
