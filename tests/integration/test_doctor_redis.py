"""What `trilha doctor` says of a Redis, on real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.redis_topology import Places
from backends.redis_url import parse_redis_url
from chaos.servers import HOST, ClusterSet, SentinelSet, ValkeyServer
from cli.doctor_redis import of_transport, redis, shape
from runtime.settings import Settings, load_settings


def given(url: str, home: Path) -> Settings:
    return load_settings({"TRILHA_HOME_DIR": str(home), "TRILHA_REDIS_URL": url})


async def test_a_server_is_said_to_be_one_and_its_password_and_address_are_not_shown(tmp_path: Path) -> None:
    with ValkeyServer() as server:
        server.obey("CONFIG SET requirepass hunter2")
        found = await redis(given(f"redis://:hunter2@{HOST}:{server.port}/0", tmp_path))
        assert (found.verdict, found.detail) == (
            "ok",
            "takes writes: one server, 0 replicas, a password, no TLS",
        )


async def test_a_limit_that_makes_writes_fail_is_a_warning_that_says_how_to_mend_it(tmp_path: Path) -> None:
    with ValkeyServer(options=("--maxmemory", "64mb", "--maxmemory-policy", "noeviction")) as server:
        found = await redis(given(server.url, tmp_path))
        assert found.verdict == "warning"
        assert "CONFIG SET maxmemory-policy volatile-ttl" in found.detail
        server.obey("CONFIG SET maxmemory-policy volatile-ttl")
        assert (await redis(given(server.url, tmp_path))).verdict == "ok"


async def test_a_user_who_may_do_no_more_than_trilha_needs_is_enough(tmp_path: Path) -> None:
    """The ACL of docs/how-to/redis.md; INFO is refused, and then nothing is said of memory."""
    with ValkeyServer(options=("--maxmemory", "64mb", "--maxmemory-policy", "noeviction")) as server:
        server.obey("ACL SETUSER trilha on >pw ~trilha:* resetchannels -@all +ping +set +get +del")
        found = await redis(given(f"redis://trilha:pw@{HOST}:{server.port}/0", tmp_path))
        assert (found.verdict, found.detail) == (
            "ok",
            "takes writes: one server, 0 replicas, a password, no TLS",
        )


async def test_sentinels_and_replicas_are_counted_and_one_that_is_silent_is_a_warning(tmp_path: Path) -> None:
    with SentinelSet() as servers:
        found = await redis(given(servers.url, tmp_path))
        assert found.verdict == "ok"
        assert "a master that 3 of 3 Sentinels watch, 1 replicas" in found.detail
        servers.servers["sentinel-2"].kill()
        found = await redis(given(servers.url, tmp_path))
        assert found.verdict == "warning"
        assert "1 of 3 Sentinels do not answer" in found.detail


async def test_masters_and_replicas_of_a_cluster_are_counted(tmp_path: Path) -> None:
    with ClusterSet() as servers:
        found = await redis(given(servers.url, tmp_path))
        assert found.verdict == "ok"
        assert "a cluster of 3 masters, 3 replicas, no password, no TLS" in found.detail


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("redis://10.0.0.5", "in the open: use rediss://"),
        ("redis+cluster://10.0.0.5,10.0.0.6", "use rediss+cluster://"),
        ("rediss://10.0.0.5?ssl_cert_reqs=none", "does not check who answers"),
        ("rediss://10.0.0.5", None),
        ("redis://localhost", None),
        ("unix:///run/valkey.sock", None),
    ],
)
def test_whoever_may_listen_is_a_warning(url: str, word: str | None) -> None:
    said = list(of_transport(parse_redis_url(url)))
    assert len(said) == (word is not None)
    assert word is None or word in said[0]
    assert "10.0.0.5" not in f"{said} {shape(parse_redis_url(url), Places(masters=()), [])}"
