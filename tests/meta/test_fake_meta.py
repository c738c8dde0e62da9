"""The loopback Meta takes what is right, once, and keeps it."""

from __future__ import annotations

from tests.meta import FakeMeta
from tests.meta.conftest import Sender
from tests.meta.events import PIXEL, TOKEN, good_event, good_purchase, proof


def code(answer) -> str:
    """CODE or CODE/SUBCODE of a refusal."""
    error = answer.json()["error"]
    return f"{error['code']}/{error['error_subcode']}" if "error_subcode" in error else str(error["code"])


async def test_good_events_are_taken_and_kept_as_they_came(meta: FakeMeta, sender: Sender) -> None:
    events = [good_event(), good_purchase()]
    answer = await sender.send(*events)
    assert answer.status_code == 200
    assert answer.json() == {
        "events_received": 2,
        "messages": [],
        "fbtrace_id": answer.json()["fbtrace_id"],
    }
    assert answer.json()["fbtrace_id"].startswith("A")
    assert meta.accepted == {(PIXEL, event["event_name"], event["event_id"]): event for event in events}
    assert (meta.refused, meta.leaks, meta.oddities) == ({}, [], [])
    assert [(call.pixel, call.status, call.events) for call in meta.calls] == [(PIXEL, 200, 2)]
    assert meta.connections == 1


async def test_an_event_that_comes_again_is_kept_once_and_counted_as_received(
    meta: FakeMeta, sender: Sender
) -> None:
    event = good_event()
    for _ in range(3):
        await sender.send(event)
    await sender.send(event | {"event_name": "Lead"})
    assert len(meta.accepted) == 2
    assert meta.received[PIXEL, "ViewContent", event["event_id"]] == 3
    assert set(meta.counted.values()) == {1}


async def test_a_token_that_is_revoked_opens_nothing_until_another_one_does(
    meta: FakeMeta, sender: Sender
) -> None:
    meta.revoke(TOKEN)
    assert code(await sender.send()) == "190/463"
    meta.renew(PIXEL, "EAABnew")
    assert code(await sender.send()) == "190/463"
    assert (await sender.send(token="EAABnew")).status_code == 200
    assert (len(meta.accepted), meta.refused) == (1, {"190/463": 2})
    meta.renew(PIXEL, TOKEN)
    assert code(await sender.send(token="EAABnew")) == "190/463"
    assert (await sender.send()).status_code == 200


async def test_a_pixel_whose_app_demands_the_proof_takes_nothing_without_it(
    meta: FakeMeta, sender: Sender
) -> None:
    """Meta says so by a bare 100, as it does of a bad event: only the message tells them apart."""
    meta.add_pixel(PIXEL, TOKEN, app_secret="secret")
    for wrong in ({}, {"appsecret_proof": proof("other", TOKEN)}):
        answer = await sender.send(**wrong)
        assert code(answer) == "100"
        assert "appsecret_proof" in answer.json()["error"]["message"]
    assert (await sender.send(appsecret_proof=proof("secret", TOKEN))).status_code == 200
