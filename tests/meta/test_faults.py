"""Each fault does what it says, over a real socket."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from tests.meta import FakeMeta
from tests.meta.conftest import Sender
from tests.meta.events import PIXEL, good_event
from tests.meta.test_fake_meta import code
from tests.meta.troubles import FAILURES, THROTTLES

OTHER, OTHER_TOKEN = "222222222222222", "EAABelse"


async def outcome(sender: Sender, *events: Any, **how: Any) -> str:
    """The code of an answer, `ok`, or the kind of failure."""
    try:
        answer = await sender.send(*events, **how)
    except httpx2.HTTPError as failure:
        return type(failure).__name__
    return "ok" if answer.status_code == 200 else code(answer)


async def outcomes(sender: Sender, times: int, **how: Any) -> list[str]:
    return [await outcome(sender, **how) for _ in range(times)]


async def test_so_many_calls_are_throttled(meta: FakeMeta, sender: Sender) -> None:
    meta.faults.throttle(calls=2, code=4)
    assert await outcomes(sender, 3) == ["4", "4", "ok"]
    assert (len(meta.accepted), meta.faults.struck) == (1, {"throttle": 2})
    assert [(call.status, call.error) for call in meta.calls] == [
        (400, "throttle"),
        (400, "throttle"),
        (200, None),
    ]


async def test_throttling_comes_by_code_or_by_status(meta: FakeMeta, sender: Sender) -> None:
    for number in THROTTLES[:-1]:
        meta.faults.throttle(calls=1, code=number)
        assert await outcome(sender) == str(number)
    meta.faults.throttle(calls=1, code=429, retry_after=7)
    answer = await sender.send()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


async def test_a_fault_of_one_pixel_is_no_other_one_s(meta: FakeMeta, sender: Sender) -> None:
    meta.add_pixel(OTHER, OTHER_TOKEN)
    meta.faults.refuse(pixel=PIXEL, code=200, says="Permissions error")
    assert await outcome(sender, pixel=OTHER, token=OTHER_TOKEN) == "ok"
    assert await outcomes(sender, 2) == ["200", "200"]
    meta.faults.clear()
    assert await outcome(sender) == "ok"


async def test_a_share_of_calls_is_the_same_share_each_time(meta: FakeMeta, sender: Sender) -> None:
    meta.faults.refuse(code=1, share=0.3)
    first = await outcomes(sender, 40)
    async with FakeMeta() as again:
        again.add_pixel(PIXEL, "t")
        again.faults.refuse(code=1, share=0.3)
        assert await outcomes(Sender(again.url, sender.client), 40, token="t") == first
    assert 5 <= first.count("1") <= 20


@pytest.mark.parametrize(
    ("how", "status", "kind"),
    [
        ("500", 500, "json"),
        ("502", 502, "html"),
        ("503", 503, "html"),
        ("1", 400, "json"),
        ("2", 400, "json"),
        ("transient", 400, "json"),
        ("html", 200, "html"),
        ("empty", 200, "json"),
        ("list", 200, "json"),
        ("redirect", 302, "json"),
        ("huge", 200, "html"),
    ],
)
async def test_trouble_of_meta_s_own_takes_nothing(
    meta: FakeMeta, sender: Sender, how: str, status: int, kind: str
) -> None:
    assert how in FAILURES
    meta.faults.fail(how=how, calls=1)
    answer = await sender.send()
    assert answer.status_code == status
    assert kind in answer.headers["content-type"]
    assert meta.accepted == {}


async def test_who_follows_a_redirect_is_remarked_on(meta: FakeMeta, sender: Sender) -> None:
    meta.faults.fail(how="redirect", calls=1)
    answer = await sender.send()
    await sender.client.get(meta.url + answer.headers["location"])
    assert meta.leaks == ["a redirect was followed"]


async def test_a_call_that_hangs_is_never_dealt_with(meta: FakeMeta, sender: Sender) -> None:
    sender.client.timeout = httpx2.Timeout(0.2)
    meta.faults.hang(calls=1)
    assert await outcome(sender) == "ReadTimeout"
    sender.client.timeout = httpx2.Timeout(5)
    assert await outcome(sender) == "ok"
    assert len(meta.accepted) == 1


async def test_a_slow_call_is_dealt_with_although_its_sender_has_given_up(
    meta: FakeMeta, sender: Sender
) -> None:
    sender.client.timeout = httpx2.Timeout(0.2)
    meta.faults.slow(0.4, calls=1)
    assert await outcome(sender) == "ReadTimeout"
    await meta.wait_for(lambda: meta.accepted)
    assert [call.status for call in meta.calls] == [200]


async def test_delays_add_up_beside_other_faults(meta: FakeMeta, sender: Sender) -> None:
    meta.faults.slow(0.05, calls=1)
    meta.faults.slow(0.05, calls=1)
    meta.faults.refuse(code=2, calls=1)
    meta.faults.throttle(code=4)
    began = asyncio.get_running_loop().time()
    assert await outcome(sender) == "2"
    assert asyncio.get_running_loop().time() - began >= 0.1
    assert await outcome(sender) == "4"


@pytest.mark.parametrize("how", ["closed", "reset", "cut"])
async def test_events_are_taken_whose_answer_is_lost(meta: FakeMeta, sender: Sender, how: str) -> None:
    event = good_event()
    meta.faults.lose_answers(calls=1, how=how)
    assert await outcome(sender, event) in {"RemoteProtocolError", "ReadError"}
    assert len(meta.accepted) == 1
    assert await outcome(sender, event) == "ok"
    assert list(meta.received.values()) == [2]
    assert [call.status for call in meta.calls] == [0, 200]


async def test_a_reset_takes_nothing(meta: FakeMeta, sender: Sender) -> None:
    meta.faults.reset(calls=1)
    assert await outcomes(sender, 2) == ["ReadError", "ok"]
    assert len(meta.accepted) == 1


@pytest.mark.parametrize(
    ("takes", "says", "said"), [(True, -1, 2), (False, -1, 2), (False, 0, 0), (True, 0, 0)]
)
async def test_fewer_are_said_to_be_received_than_were_sent(
    meta: FakeMeta, sender: Sender, takes: bool, says: int, said: int
) -> None:
    meta.faults.short(calls=1, takes=takes, says=says)
    answer = await sender.send(good_event(), good_event(), good_event())
    assert (answer.status_code, answer.json()["events_received"]) == (200, said)
    assert len(meta.accepted) == (3 if takes else 0)


async def test_the_end_of_a_version_is_warned_of_in_every_answer(meta: FakeMeta, sender: Sender) -> None:
    meta.faults.warn_version("v26.0 ends in 30 days")
    for answer in (await sender.send(), await sender.send({})):
        assert answer.headers["x-ad-api-version-warning"] == "v26.0 ends in 30 days"
    meta.faults.clear()
    assert "x-ad-api-version-warning" not in (await sender.send({})).headers


async def test_a_poisoned_event_spoils_its_batch(meta: FakeMeta, sender: Sender) -> None:
    good, bad = good_event(), good_event()
    meta.faults.poison([bad["event_id"]], subcode=2804017)
    assert await outcome(sender, good, bad) == "100/2804017"
    assert await outcome(sender, good) == "ok"
    assert len(meta.accepted) == 1


async def test_an_outage_refuses_connections_until_it_is_over(meta: FakeMeta, sender: Sender) -> None:
    await sender.send()
    await meta.go_down()
    assert await outcome(sender) in {"ConnectError", "ReadError", "RemoteProtocolError"}
    await meta.come_up()
    assert await outcome(sender) == "ok"
    assert len(meta.accepted) == 2
    meta.drop()
    assert "ok" in await outcomes(sender, 2)
