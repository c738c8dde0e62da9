"""Each trouble of the proxy is what it says, against a real Valkey, and ends when it is healed."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from chaos.proxy import NONE, Proxy, Trouble
from chaos.servers import HOST, ServerFailed, ValkeyServer
from tests.chaos.conftest import Client


def until(true: Callable[[], bool]) -> None:
    """Poll; a condition that never holds fails the test."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def took(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


# ------------------------------------------------------------ no trouble


def test_a_healthy_proxy_passes_everything_in_order_and_counts_it(proxy: Proxy, connect) -> None:
    before = proxy.stats()
    client = connect(proxy.port)
    client.send(*(f"ECHO {number}" for number in range(1000)))
    answers = [(client.answer(), client.answer())[1] for _ in range(1000)]
    assert answers == [str(number).encode() for number in range(1000)]
    now = proxy.stats()
    sent = sum(len(f"ECHO {number}\r\n") for number in range(1000))
    assert (now.accepted, now.open, now.bytes_up) == (
        before.accepted + 1,
        before.open + 1,
        before.bytes_up + sent,
    )
    assert now.bytes_down - before.bytes_down == sum(len(f"${len(a)}\r\n") + len(a) + 2 for a in answers)
    client.close()
    until(lambda: proxy.stats().open == before.open)


def test_a_value_larger_than_every_buffer_comes_through_whole(
    proxy: Proxy, valkey: ValkeyServer, connect
) -> None:
    client = connect(proxy.port)
    value = hashlib.shake_128(b"value").digest(9_000_000)
    client.socket.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$%d\r\n%b\r\n" % (len(value), value))
    assert client.answer() == b"+OK"
    client.send("GET v")
    time.sleep(0.2)  # it comes faster than we read
    assert client.answer() == b"$%d" % len(value)
    assert client.answers.read(len(value)) == value


def test_the_end_of_a_clients_stream_reaches_the_server_and_its_last_answer_the_client(
    client: Client,
) -> None:
    client.send("PING", "QUIT")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.answers.read() == b"+PONG\r\n+OK\r\n"


def test_the_death_of_the_server_reaches_the_client(connect) -> None:
    with ValkeyServer() as own, Proxy(HOST, own.port) as proxy:
        client = connect(proxy.port)
        assert client.ask("PING") == b"+PONG"
        own.kill()
        assert client.answer() == b""
        with pytest.raises(ConnectionResetError):
            connect(proxy.port).answer()
        own.start()
        assert connect(proxy.port).ask("PING") == b"+PONG"


def test_a_killed_proxy_comes_back_healthy_on_its_port(valkey: ValkeyServer, connect) -> None:
    with Proxy(HOST, valkey.port) as proxy:
        proxy.set(Trouble(refuse=True))
        proxy.kill()
        with pytest.raises(ServerFailed, match="does not obey"):
            proxy.heal()
        proxy.start()
        assert connect(proxy.port).ask("PING") == b"+PONG"
        assert (proxy.directory / "control").stat().st_mode & 0o777 == 0o600


# ------------------------------------------------------------ slow


def test_latency_is_added_in_each_direction_and_in_parallel(proxy: Proxy, client: Client) -> None:
    proxy.set(Trouble(latency_ms=100))
    slow = took(lambda: client.ask("PING"))
    assert slow >= 0.2

    def twenty() -> None:
        for _ in range(20):
            client.send("PING")
            time.sleep(0.002)  # each in a parcel of its own
        for _ in range(20):
            client.answer()

    assert 0.2 <= took(twenty) < 20 * 0.2
    proxy.heal()
    assert took(lambda: client.ask("PING")) < slow


def test_jitter_keeps_the_order(proxy: Proxy, client: Client) -> None:
    proxy.set(Trouble(jitter_ms=20))
    for number in range(50):
        client.send(f"ECHO {number}")
        time.sleep(0.001)
    answers = [(client.answer(), client.answer())[1] for _ in range(50)]
    assert answers == [str(number).encode() for number in range(50)]


def test_what_is_delayed_is_delivered_at_once_and_in_order_when_healed(proxy: Proxy, client: Client) -> None:
    proxy.set(Trouble(latency_ms=60_000))
    for number in range(20):
        client.send(f"ECHO {number}")
        time.sleep(0.001)
    assert client.quiet_for(0.1)
    proxy.set(Trouble(latency_ms=30_000))
    assert client.quiet_for(0.1)
    proxy.heal()
    answers = [(client.answer(), client.answer())[1] for _ in range(20)]
    assert answers == [str(number).encode() for number in range(20)]


def test_a_bandwidth_is_not_exceeded_and_what_comes_trickles(proxy: Proxy, client: Client) -> None:
    client.ask(f"SET big {'x' * 20_000}")
    proxy.set(Trouble(bandwidth=40_000))
    start = time.monotonic()
    client.send("GET big")
    client.socket.recv(1)
    first = time.monotonic() - start
    client.answers.read(20_000)
    whole = time.monotonic() - start
    assert whole >= 0.45
    assert first < whole / 2


# ------------------------------------------------------------ cut


def test_a_reset_is_seen_as_such_by_open_and_new_connections_until_healed(
    proxy: Proxy, client: Client, connect
) -> None:
    before = proxy.stats().resets
    proxy.set(Trouble(reset=True))
    client.socket.setblocking(False)  # it is there when set returns
    with pytest.raises(ConnectionResetError):
        client.socket.recv(1)
    with pytest.raises(ConnectionResetError):
        connect(proxy.port).answer()
    until(lambda: proxy.stats().resets == before + 2)
    proxy.heal()
    assert connect(proxy.port).ask("PING") == b"+PONG"


def test_a_refusal_leaves_open_connections_alone_and_the_port_comes_back(
    proxy: Proxy, client: Client, connect
) -> None:
    proxy.set(Trouble(refuse=True))
    with pytest.raises(ConnectionRefusedError):
        connect(proxy.port)
    assert client.ask("PING") == b"+PONG"
    proxy.heal()
    assert connect(proxy.port).ask("PING") == b"+PONG"


def test_a_flapping_proxy_is_up_and_down_in_turn_and_counts_it(proxy: Proxy, connect) -> None:
    proxy.set(Trouble(flap_s=0.2))
    before = proxy.stats().flaps
    for turn in (1, 2):
        until(lambda turn=turn: proxy.stats().flaps >= before + turn)
        until(lambda: answers(proxy.port))
        until(lambda: not answers(proxy.port))
    proxy.heal()
    flaps = proxy.stats().flaps
    client = connect(proxy.port)
    assert client.quiet_for(0.4)
    assert client.ask("PING") == b"+PONG"
    assert proxy.stats().flaps == flaps


def answers(port: int) -> bool:
    try:
        with closing(Client(port)) as client:
            return client.ask("PING") == b"+PONG"
    except ConnectionError:
        return False


# ------------------------------------------------------------ nothing comes


def test_under_a_blackhole_open_connections_hang_and_go_on_where_they_were(
    proxy: Proxy, client: Client, valkey: ValkeyServer
) -> None:
    proxy.set(Trouble(blackhole=True))
    client.send("SET k v")
    assert client.quiet_for(0.2)
    assert valkey.command("EXISTS k") == b":0"
    proxy.heal()
    assert client.answer() == b"+OK"


def test_under_a_blackhole_nothing_is_read_so_that_a_sender_fills_the_kernel_and_waits(
    proxy: Proxy, client: Client
) -> None:
    proxy.set(Trouble(blackhole=True))
    client.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.socket.sendall(b"*2\r\n$4\r\nECHO\r\n$60000000\r\n" + b"x" * 60_000_000)


def test_under_a_blackhole_connecting_hangs_and_succeeds_later(proxy: Proxy) -> None:
    proxy.set(Trouble(blackhole=True))
    early = socket.socket()
    early.setblocking(False)
    early.connect_ex((HOST, proxy.port))
    for _ in range(3):  # not only the first
        with socket.socket() as late:
            late.settimeout(0.1)
            with pytest.raises(TimeoutError):
                late.connect((HOST, proxy.port))
    accepted = proxy.stats().accepted
    proxy.heal()
    until(lambda: proxy.stats().accepted == accepted + 1)
    early.settimeout(20)
    early.sendall(b"PING\r\n")
    assert early.recv(99) == b"+PONG\r\n"
    early.close()


def test_a_silent_proxy_accepts_and_reads_and_never_answers(
    proxy: Proxy, valkey: ValkeyServer, connect
) -> None:
    proxy.set(Trouble(silent=True))
    client, idle = connect(proxy.port), connect(proxy.port)
    client.socket.sendall(b"x" * 20_000_000)  # more than the kernel would hold unread
    assert client.quiet_for(0.1)
    proxy.heal()
    assert idle.ask("PING") == b"+PONG"
    with pytest.raises(ConnectionResetError):  # its stream has a gap
        client.answer()


@pytest.mark.parametrize(("way", "applied"), [("up", b":0"), ("down", b":1")])
def test_what_is_dropped_one_way_is_applied_or_not(
    proxy: Proxy, client: Client, valkey: ValkeyServer, way: str, applied: bytes, connect
) -> None:
    proxy.set(Trouble.from_dict({"drop": way}))
    client.send("SET k v")
    assert client.quiet_for(0.2)
    assert valkey.command("EXISTS k") == applied
    proxy.heal()
    with pytest.raises(ConnectionResetError):  # never an answer to another question
        client.ask("PING")
    assert connect(proxy.port).ask("PING") == b"+PONG"


# ------------------------------------------------------------ troubles as data


def test_a_trouble_is_the_same_after_its_way_through_json() -> None:
    trouble = Trouble(latency_ms=5, drop="up", lose_reply=("SET",), lose_count=3)
    assert Trouble.from_dict(trouble.as_dict()) == trouble
    assert Trouble.from_dict({}) == NONE


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"latency": 5}, "unknown trouble: latency. Known are: latency_ms, jitter_ms"),
        ({"latency_ms": "5"}, "Expected `float`, got `str` - at `$.latency_ms`"),
        ({"latency_ms": -5}, "latency_ms must be finite and not negative"),
        ({"drop": "left"}, "left"),
        ({"lose_every": 0}, "lose_every must be 1 or more"),
        ({"lose_count": -1}, "lose_count must not be negative"),
        ({"lose_reply": "SET"}, "lose_reply"),
    ],
)
def test_a_trouble_that_makes_no_sense_is_refused_in_words(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("$", r"\$")):
        Trouble.from_dict(given)


def test_the_process_refuses_what_is_no_trouble_and_keeps_the_one_it_has(
    proxy: Proxy, client: Client
) -> None:
    with pytest.raises(ServerFailed, match="no such command"):
        proxy._ask({"do": "nothing"})
    with pytest.raises(ServerFailed, match="unknown trouble: slow"):
        proxy._ask({"do": "set", "trouble": {"slow": 1}})
    assert client.ask("PING") == b"+PONG"
    with pytest.raises(ValueError, match="tuple of names"):
        replace(NONE, lose_reply="SET")
