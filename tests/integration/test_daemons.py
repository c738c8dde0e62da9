"""A daemon's state, asked for over a real socket."""

from __future__ import annotations

import asyncio
import json

import pytest

from analytics.daemons import ask, metrics, ready
from runtime.settings import Bind
from tests.daemon_fixture import Door
from tests.receiver import LOOPBACK, Receiver, receiving


def answering(body: bytes, status: str = "200 OK") -> Receiver:
    return Receiver(
        answer=b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status.encode(), len(body), body)
    )


async def test_a_daemon_that_runs_says_how_its_tiers_are(door: Door) -> None:
    found = await ask(door.site.settings.private_bind, seconds=10)
    assert found is not None
    assert found.ready
    assert set(found.tiers) >= {"disk", "sql", "ledger"}
    assert set(found.tiers.values()) == {"closed"}
    assert found.ring_waiting == 0


async def test_a_daemon_that_is_not_ready_is_heard_all_the_same() -> None:
    body = json.dumps({"ready": False, "tiers": {"sql": "open"}, "ring_waiting": 3}).encode()
    async with receiving(answering(body, "503 Service Unavailable")) as there:
        found = await ask(Bind(host=LOOPBACK, port=there.port), seconds=10)
    assert found is not None
    assert (found.ready, dict(found.tiers), found.ring_waiting) == (False, {"sql": "open"}, 3)


@pytest.mark.parametrize("body", [b"", b"ok\n", b"[]", b'{"ready": true}', b"\xff\xfe", b"{" * 70_000])
async def test_what_is_not_a_daemon_is_none(body: bytes) -> None:
    async with receiving(answering(body)) as there:
        assert await ask(Bind(host=LOOPBACK, port=there.port), seconds=10) is None


async def test_a_port_where_nobody_listens_is_none() -> None:
    async with receiving() as there:
        port = there.port
    assert await ask(Bind(host=LOOPBACK, port=port), seconds=10) is None


async def test_a_daemon_that_says_nothing_is_waited_for_no_longer_than_was_asked() -> None:
    receiver = Receiver()
    receiver.behave = receiver.hang
    async with receiving(receiver) as there:
        async with asyncio.timeout(10):
            assert await ask(Bind(host=LOOPBACK, port=there.port), seconds=0.05) is None


async def test_a_listener_of_all_addresses_is_asked_at_loopback() -> None:
    body = json.dumps({"ready": True, "tiers": {}, "ring_waiting": 0}).encode()
    async with receiving(answering(body)) as there:
        assert await ask(Bind(host="0.0.0.0", port=there.port), seconds=10) is not None


async def test_a_daemon_that_runs_shows_its_metrics(door: Door) -> None:
    await door.click()
    bind = door.site.settings.private_bind
    found = await metrics(bind, seconds=10)
    assert found is not None
    assert found['trilha_redirects_total{outcome="redirected"}'] == 1.0
    assert await ready(bind, seconds=10) is True


@pytest.mark.parametrize("body", [b"", b"one two three\n", b"[]", b"\xff\xfe"])
async def test_what_has_no_metrics_and_says_not_whether_it_works_is_none(body: bytes) -> None:
    async with receiving(answering(body, "404 Not Found")) as there:
        assert await metrics(Bind(host=LOOPBACK, port=there.port), seconds=10) is None
    async with receiving(answering(body)) as there:
        assert await ready(Bind(host=LOOPBACK, port=there.port), seconds=10) is None


async def test_a_process_that_is_not_ready_says_so() -> None:
    async with receiving(answering(b'{"ready": false}', "503 Service Unavailable")) as there:
        assert await ready(Bind(host=LOOPBACK, port=there.port), seconds=10) is False
