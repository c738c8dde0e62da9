"""Each fault of Redis and of the way to it is what it says, on a real Valkey, and ends when it is mended."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest
import yaml

from backends.redis import RedisStore
from chaos.catalogue import experiments
from chaos.faults import Fault, make_fault
from chaos.matrix import MATRIX
from chaos.proxy import Proxy
from chaos.servers import HOST, ServerFailed, ValkeyServer
from chaos.stage.spec import StageSpec
from chaos.stage.stage import Stage
from chaos.toolkit import copies
from chaos.toolkit.current import current
from domain.errors import StoreUnavailable
from tests.chaos.conftest import Client

REFUSALS = {
    "redis_oom": b"-OOM",
    "redis_readonly": b"-READONLY",
    "redis_loading": b"-LOADING",
    "redis_misconf": b"-MISCONF",
    "redis_password": b"-NOAUTH",
    "redis_maxclients": b"-ERR max number of clients reached",
}


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A stage with a Redis behind a proxy and nothing else."""
    made = Stage(StageSpec())
    try:
        made.add("valkey", ValkeyServer())
        made.proxies["redis"] = Proxy(HOST, made.valkey.port)
        with made.proxies["redis"]:
            yield made
    finally:
        made.take_down()


@pytest.fixture
def under_way(stage: Stage) -> Iterator[Stage]:
    """A drill is under way on it, for actions."""

    class Drill:
        def mark(self, text: str) -> None: ...

    Drill.stage = stage
    current().drill = Drill()
    yield stage
    current().drill = None


def write(stage: Stage) -> bytes:
    """What whoever comes now is told when he writes."""
    return stage.valkey.command("SET written now")


def probe(stage: Stage) -> None:
    """What Trilha does to find out whether Redis works."""

    async def once() -> None:
        store = RedisStore(stage.valkey.url, ttl_ms=1000)
        try:
            await store.probe()
        finally:
            await store.close()

    asyncio.run(once())


def trouble(**said: object) -> Fault:
    return make_fault("proxy_trouble", {"store": "redis", "trouble": said})


# ------------------------------------------------------------ Redis that refuses


@pytest.mark.parametrize("name", REFUSALS)
def test_while_it_is_there_writes_are_refused_and_trilhas_probe_sees_it(stage: Stage, name: str) -> None:
    fault = make_fault(name, {})
    fault.begin(stage)
    with pytest.raises(StoreUnavailable):
        probe(stage)
    assert write(stage).startswith(REFUSALS[name])
    fault.end(stage)
    assert write(stage) == b"+OK"
    probe(stage)


@pytest.mark.parametrize("name", REFUSALS)
def test_mending_what_is_whole_or_mended_does_nothing(stage: Stage, name: str) -> None:
    fault = make_fault(name, {})
    fault.end(stage)
    fault.begin(stage)
    fault.end(stage)
    fault.end(stage)
    assert write(stage) == b"+OK"


@pytest.mark.parametrize("name", ["redis_password", "redis_maxclients"])
def test_who_was_connected_is_put_out(stage: Stage, name: str, connect: Callable[[int], Client]) -> None:
    client = connect(stage.valkey.port)
    assert client.ask("PING") == b"+PONG"
    fault = make_fault(name, {})
    fault.begin(stage)
    assert client.answer() == b""
    fault.end(stage)


@pytest.mark.parametrize("name", ["redis_oom", "redis_readonly", "redis_misconf"])
def test_reads_are_still_answered_so_that_only_a_write_tells(stage: Stage, name: str) -> None:
    stage.valkey.obey("SET kept yes")
    fault = make_fault(name, {})
    fault.begin(stage)
    assert stage.valkey.command("EXISTS kept") == b":1"
    fault.end(stage)


def test_it_loads_until_it_is_mended_and_then_has_all_that_it_had(stage: Stage) -> None:
    stage.valkey.obey("SET kept yes")
    fault = make_fault("redis_loading", {})
    fault.begin(stage)
    assert stage.valkey.command("EXISTS kept").startswith(b"-LOADING")
    fault.end(stage)
    assert stage.valkey.command("EXISTS kept") == b":1"


def test_room_for_clients_is_there_again_even_if_redis_died_meanwhile(stage: Stage) -> None:
    fault = make_fault("redis_maxclients", {})
    fault.begin(stage)
    stage.valkey.kill()
    stage.valkey.start()
    fault.end(stage)
    assert write(stage) == b"+OK"


def test_what_redis_refuses_of_a_faults_own_commands_is_an_error(stage: Stage) -> None:
    with pytest.raises(ServerFailed, match="no-such-thing"):
        stage.valkey.obey("CONFIG SET no-such-thing 1")


# ------------------------------------------------------------ old data


def test_a_flush_empties_it_and_it_takes_writes_at_once(stage: Stage) -> None:
    stage.valkey.obey("SET old yes")
    make_fault("redis_flushall", {}).begin(stage)
    assert stage.valkey.command("DBSIZE") == b":0"
    assert write(stage) == b"+OK"


def test_an_old_snapshot_has_what_was_deleted_since_and_not_what_came_since(under_way: Stage) -> None:
    valkey = under_way.valkey
    valkey.obey("SET old yes")
    copies.save_redis()
    valkey.obey("DEL old", "SET new yes")
    make_fault("redis_old_snapshot", {}).begin(under_way)
    assert valkey.commands("EXISTS old", "EXISTS new") == [b":1", b":0"]


def test_a_replica_that_was_left_behind_takes_over_the_port_with_old_data_and_takes_writes(
    under_way: Stage,
) -> None:
    valkey = under_way.valkey
    valkey.obey("SET old yes")
    copies.leave_replica_behind()
    valkey.obey("DEL old", "SET new yes")
    make_fault("redis_replica", {}).begin(under_way)
    assert valkey.commands("EXISTS old", "EXISTS new", "SET written now") == [b":1", b":0", b"+OK"]
    assert not valkey.alive


def test_what_it_held_is_gone_after_its_death_unless_it_was_told_to_save(stage: Stage) -> None:
    stage.valkey.obey("SET old yes")
    stage.valkey.kill()
    stage.valkey.start()
    assert stage.valkey.command("DBSIZE") == b":0"


# ------------------------------------------------------------ the way to it


def test_trouble_is_on_the_proxy_of_the_store_that_it_names_until_it_is_mended(stage: Stage) -> None:
    fault = trouble(refuse=True)
    fault.begin(stage)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, stage.proxies["redis"].port), 2.0)
    fault.end(stage)
    fault.end(stage)
    socket.create_connection((HOST, stage.proxies["redis"].port), 2.0).close()


def test_names_of_lost_replies_may_be_a_list_as_an_experiment_has_it(
    stage: Stage, connect: Callable[[int], Client]
) -> None:
    trouble(lose_reply=["SET"]).begin(stage)
    with pytest.raises(ConnectionResetError):
        connect(stage.proxies["redis"].port).ask("SET applied yes")
    assert stage.valkey.command("EXISTS applied") == b":1"


def test_trouble_that_a_proxy_cannot_make_is_refused(stage: Stage) -> None:
    with pytest.raises(ValueError, match="unknown trouble: latency"):
        trouble(latency=5).begin(stage)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"latency_ms": 2.5}, "Redis is 2.5 ms later each way"),
        ({"flap_s": 1.0}, "Redis is away for half of every 1 s"),
        ({"reset": True}, "connections to Redis are reset"),
        ({"drop": "up"}, "what goes up the way to Redis vanishes"),
        ({"lose_reply": ["SET"], "lose_count": 1}, "answers of Redis are lost"),
    ],
)
def test_trouble_says_what_it_is(said: dict[str, object], words: str) -> None:
    assert trouble(**said).says == words


# ------------------------------------------------------------ experiments


def test_settings_of_a_stage_may_name_the_ports_at_which_stores_are_reached(stage: Stage) -> None:
    assert stage._filled("redis://localhost:{redis_port}/0") == (
        f"redis://localhost:{stage.proxies['redis'].port}/0"
    )


def test_every_fault_of_redis_and_the_network_has_a_drill() -> None:
    wanted = {row.id for row in MATRIX if row.id.startswith(("redis.", "network.")) and not row.absent}
    assert wanted <= {covered for each in experiments() for covered in each.covers}


@pytest.mark.parametrize(
    "path", [e.path for e in experiments() if e.tier in ("Redis", "network")], ids=lambda path: path.stem
)
def test_a_drill_says_its_file_as_its_name_and_breaks_only_what_there_is(path) -> None:
    content = yaml.safe_load(path.read_text())
    assert content["extensions"][0]["drill"] == path.stem
    for action in content["method"]:
        arguments = dict(action["provider"].get("arguments", {}))
        if action["provider"]["func"] == "inject":
            arguments.pop("called", None)
            assert make_fault(arguments.pop("fault"), arguments).says
    StageSpec.of(content["configuration"]["stage"])
