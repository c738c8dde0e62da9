"""What Meta refuses of a call before it looks at events, and what it takes and a judge remarks on."""

from __future__ import annotations

import httpx2
import pytest

from tests.meta import FakeMeta
from tests.meta.conftest import Sender
from tests.meta.events import PIXEL, TOKEN, digest, good_event, good_purchase
from tests.meta.test_fake_meta import code


@pytest.mark.parametrize(
    ("how", "error", "status"),
    [
        ({"token": "EAABother"}, "190", 401),
        ({"token": None}, "104", 400),
        ({"pixel": "999"}, "100/33", 400),
        ({"pixel": "222222222222222"}, "100/33", 400),
        ({"version": "v12.0"}, "2635", 400),
        ({"version": "latest"}, "2500", 400),
        ({"dat": []}, "100", 400),
    ],
)
async def test_a_call_that_may_not_be_is_refused(
    meta: FakeMeta, sender: Sender, how: dict[str, str], error: str, status: int
) -> None:
    """The last pixel exists, and belongs to somebody else's token."""
    meta.add_pixel("222222222222222", "EAABelse")
    answer = await sender.send(**how)
    assert (answer.status_code, code(answer)) == (status, error)
    assert meta.accepted == {}


async def test_a_thousand_events_are_taken_and_one_more_or_none_is_refused(
    meta: FakeMeta, sender: Sender
) -> None:
    events = [good_event() for _ in range(1001)]
    assert (await sender.send(*events[:1000])).json()["events_received"] == 1000
    assert code(await sender.send(*events)) == "100"
    headers = {"authorization": f"Bearer {TOKEN}"}
    for body in ({"data": []}, {}, {"data": {}}, []):
        answer = await sender.client.post(f"{meta.url}/v26.0/{PIXEL}/events", json=body, headers=headers)
        assert code(answer) == "100"
    assert len(meta.accepted) == 1000


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
async def test_what_is_not_json_is_refused(sender: Sender, meta: FakeMeta, kind: str) -> None:
    answer = await sender.client.post(
        f"{meta.url}/v26.0/{PIXEL}/events", content=b'{"data": [', headers={"content-type": kind}
    )
    assert code(answer) == "100"


async def test_the_token_may_come_in_the_body(meta: FakeMeta, sender: Sender) -> None:
    assert (await sender.send(token=None, access_token=TOKEN)).status_code == 200
    assert meta.leaks == []


async def test_the_token_in_the_url_is_taken_and_remarked_on(meta: FakeMeta, sender: Sender) -> None:
    assert (await sender.send(token=None, query=f"?access_token={TOKEN}")).status_code == 200
    assert meta.leaks == ["access_token in the URL"]


async def test_events_for_a_test_are_kept_apart(meta: FakeMeta, sender: Sender) -> None:
    event = good_event()
    assert (await sender.send(event, test_event_code="TEST1")).status_code == 200
    assert (meta.tested, meta.accepted) == ([(PIXEL, event)], {})


async def test_what_meta_takes_and_is_a_mistake_all_the_same_is_remarked_on(
    meta: FakeMeta, sender: Sender
) -> None:
    event = good_event()
    late = f"fb.1.{(event['event_time'] + 3600) * 1000}.IwAR2F4"
    event["user_data"] |= {"ct": [digest("")], "external_id": "42", "fbc": late}
    await sender.send(event)
    nameless = good_event()
    del nameless["event_id"]
    await sender.send(nameless)
    assert meta.leaks == ["external_id in clear"]
    assert meta.oddities == [
        "ct is the digest of nothing",
        "fbc was made after the event",
        "an event has no event_id",
    ]
    assert meta.kept.unnamed == [(PIXEL, nameless)]


async def test_an_event_that_comes_again_after_48_hours_counts_again() -> None:
    now = 1_800_000_000.0
    async with FakeMeta(now=lambda: now) as meta, httpx2.AsyncClient() as client:
        meta.add_pixel(PIXEL, TOKEN)
        sender = Sender(meta.url, client)
        event = good_event(event_time=int(now))
        key = PIXEL, event["event_name"], event["event_id"]
        for hours, counted in ((0, 1), (48, 1), (1, 2)):
            now += hours * 3600
            await sender.send(event)
            assert meta.counted[key] == counted
        assert meta.received[key] == 3


async def ask_quality(meta: FakeMeta, sender: Sender, token: str, fields: str) -> httpx2.Response:
    params = {"dataset_id": PIXEL, "fields": fields}
    headers = {"authorization": f"Bearer {token}"}
    return await sender.client.get(f"{meta.url}/v26.0/dataset_quality", params=params, headers=headers)


async def test_match_quality_rises_with_what_is_known_of_people(meta: FakeMeta, sender: Sender) -> None:
    poor, rich = good_event(), good_purchase()
    rich["user_data"]["em"] = digest("ana@example.com")
    await sender.send(poor, rich, good_event(action_source="chat", event_name="Lead"))
    fields = "web{event_name,event_match_quality{composite_score,match_key_feedback{identifier,coverage}}}"
    web = (await ask_quality(meta, sender, TOKEN, fields)).json()["web"]
    assert [set(event) for event in web] == [{"event_name", "event_match_quality"}] * 2
    assert {event["event_name"]: event["event_match_quality"]["composite_score"] for event in web} == {
        "Purchase": 10.0,
        "ViewContent": 7.5,
    }
    feedback = web[0]["event_match_quality"]["match_key_feedback"]
    assert {"identifier": "email", "coverage": {"percentage": 100.0}} in feedback


async def test_match_quality_is_for_whom_the_pixel_is(meta: FakeMeta, sender: Sender) -> None:
    assert code(await ask_quality(meta, sender, "EAABother", "web{event_name}")) == "190"
    assert code(await ask_quality(meta, sender, TOKEN, "app{event_name}")) == "100"
    assert (await ask_quality(meta, sender, TOKEN, "web{event_name}")).json() == {"web": []}


async def test_another_path_is_unknown(meta: FakeMeta, sender: Sender) -> None:
    assert code(await sender.client.get(f"{meta.url}/v26.0/{PIXEL}/events")) == "2500"
