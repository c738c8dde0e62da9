"""What Meta refuses of an event: one change to a good event each, with the error that it is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.meta.conftest import Sender
from tests.meta.events import AGENT, digest, good_event, good_purchase
from tests.meta.server import FakeMeta
from tests.meta.test_fake_meta import code

Change = dict[str, Any]
NOW = 1_800_000_000
ABSENT = object()
CLICK_ID, TOO_OLD, NO_CURRENCY, NO_VALUE = "100/2804001", "100/2804003", "100/2804007", "100/2804009"
CURRENCY, NOT_HASHED, MATCHING, PARAMETER = "100/2804014", "100/2804016", "100/2804017", "100/2804019"
TIME, TOO_LITTLE, MESSAGING = "100/2804048", "100/2804050", "100/2804066"

EVENTS: list[tuple[Change, str]] = [
    ({"event_name": ABSENT}, PARAMETER),
    ({"event_time": ABSENT}, PARAMETER),
    ({"user_data": ABSENT}, PARAMETER),
    ({"action_source": ABSENT}, PARAMETER),
    ({"event_source_url": ABSENT}, PARAMETER),
    ({"event_name": ""}, PARAMETER),
    ({"event_name": "x" * 51}, PARAMETER),
    ({"event_name": 7}, PARAMETER),
    ({"event_name": None}, PARAMETER),
    ({"event_id": ""}, PARAMETER),
    ({"event_id": 7}, PARAMETER),
    ({"event_id": None}, PARAMETER),
    ({"event_time": str(NOW)}, PARAMETER),
    ({"event_time": float(NOW)}, PARAMETER),
    ({"event_time": True}, PARAMETER),
    ({"event_time": NOW - 7 * 86400 - 1}, TOO_OLD),
    ({"event_time": 0}, TOO_OLD),
    ({"event_time": NOW + 61}, TIME),
    ({"event_time": NOW * 1000}, TIME),
    ({"event_source_url": "go.example.com/go/promo"}, PARAMETER),
    ({"event_source_url": "tg://resolve?domain=bot"}, PARAMETER),
    ({"event_source_url": "https://go.example.com/a b"}, PARAMETER),
    ({"event_source_url": ""}, PARAMETER),
    ({"referrer_url": "example.com"}, PARAMETER),
    ({"action_source": "telegram"}, PARAMETER),
    ({"action_source": ["website"]}, PARAMETER),
    ({"action_source": "business_messaging", "messaging_channel": "telegram"}, MESSAGING),
    ({"user_data": []}, PARAMETER),
    ({"user_data": {}}, PARAMETER),
    ({"opt_out": "no"}, PARAMETER),
    ({"data_processing_options": "LDU"}, PARAMETER),
    ({"eventname": "Lead"}, PARAMETER),
    ({"custom_data": []}, PARAMETER),
    ({"custom_data": {"plan": None}}, PARAMETER),
    ({"custom_data": {"contents": [{"id": None}]}}, PARAMETER),
    ({"custom_data": {"value": "49.90"}}, PARAMETER),
    ({"custom_data": {"value": True}}, PARAMETER),
    ({"custom_data": {"value": -1}}, PARAMETER),
    ({"custom_data": {"currency": "R$"}}, CURRENCY),
    ({"custom_data": {"currency": "BRR"}}, CURRENCY),
    ({"custom_data": {"currency": 986}}, CURRENCY),
    ({"custom_data": {"order_id": 17}}, PARAMETER),
    ({"custom_data": {"num_items": 1.5}}, PARAMETER),
    ({"custom_data": {"content_type": "course"}}, PARAMETER),
    ({"custom_data": {"content_ids": "vip"}}, PARAMETER),
    ({"custom_data": {"content_ids": [1.5]}}, PARAMETER),
    ({"custom_data": {"contents": [{"quantity": 1}]}}, PARAMETER),
]
PEOPLE: list[tuple[Change, str]] = [
    ({"client_user_agent": ABSENT}, PARAMETER),
    ({"client_user_agent": " "}, MATCHING),
    ({"client_user_agent": digest(AGENT)}, MATCHING),
    ({"client_user_agent": [AGENT]}, MATCHING),
    ({"client_ip_address": digest("203.0.113.7")}, MATCHING),
    ({"client_ip_address": "203.0.113.7:4711"}, MATCHING),
    ({"client_ip_address": "[2001:db8::1]:4711"}, MATCHING),
    ({"client_ip_address": " 203.0.113.7"}, MATCHING),
    ({"client_ip_address": "203.0.113.7, 10.0.0.1"}, MATCHING),
    ({"client_ip_address": "::ffff:203.0.113.7"}, MATCHING),
    ({"client_ip_address": "fe80::1%eth0"}, MATCHING),
    ({"client_ip_address": "203.0.113.0/24"}, MATCHING),
    ({"client_ip_address": "203.0.113.777"}, MATCHING),
    ({"client_ip_address": ""}, MATCHING),
    ({"client_ip_address": None}, PARAMETER),
    ({"fbc": f"fb.1.{NOW}.IwAR2F4"}, CLICK_ID),
    ({"fbc": f"fb.1.{NOW}000."}, CLICK_ID),
    ({"fbc": f"fb.1.{NOW}000.IwAR 2F4"}, CLICK_ID),
    ({"fbc": f"fb.1.{NOW}000.IwAR2F4%3D"}, CLICK_ID),
    ({"fbc": f"FB.1.{NOW}000.IwAR2F4"}, CLICK_ID),
    ({"fbc": "IwAR2F4"}, CLICK_ID),
    ({"fbc": digest("IwAR2F4")}, CLICK_ID),
    ({"fbp": f"fb.1.{NOW}.1098115397"}, MATCHING),
    ({"fbp": f"fb.1.{NOW}000.abc"}, MATCHING),
    ({"fbp": digest("fbp")}, MATCHING),
    ({"em": "ana@example.com"}, NOT_HASHED),
    ({"em": digest("ana@example.com").upper()}, NOT_HASHED),
    ({"em": digest("ana@example.com")[:-1]}, NOT_HASHED),
    ({"em": [digest("ana@example.com"), "ana@example.com"]}, NOT_HASHED),
    ({"em": []}, NOT_HASHED),
    ({"em": ""}, NOT_HASHED),
    ({"em": None}, PARAMETER),
    *[({key: "br"}, NOT_HASHED) for key in ("ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country")],
    ({"external_id": 42}, PARAMETER),
    ({"external_id": []}, PARAMETER),
    ({"external_id": [""]}, PARAMETER),
    ({"subscription_id": 42}, PARAMETER),
    ({"email": digest("ana@example.com")}, PARAMETER),
]
H = digest("x")
ALONE: list[Change] = [
    {"client_user_agent": AGENT},
    {"client_user_agent": AGENT, "ct": H, "country": H, "st": H, "zp": H, "ge": H},
    {"client_user_agent": AGENT, "db": H},
]
ALONE_OTHERWISE: list[Change] = [{"fn": H, "ge": H}, {"ln": H, "ge": H}, {"country": H}]


@pytest_asyncio.fixture
async def meta() -> AsyncIterator[FakeMeta]:
    """A Meta whose clock stands still."""
    async with FakeMeta(now=lambda: NOW) as server:
        yield server


def good(**changes: Any) -> Change:
    return good_event(now=NOW, **changes)


def changed(whole: Change, change: Change) -> Change:
    return {key: value for key, value in {**whole, **change}.items() if value is not ABSENT}


@pytest.mark.parametrize(("change", "error"), EVENTS)
async def test_a_change_to_a_good_event_is_refused(
    meta: FakeMeta, sender: Sender, change: Change, error: str
) -> None:
    answer = await sender.send(good(), changed(good(), change))
    assert (answer.status_code, code(answer)) == (400, error)
    assert (meta.accepted, meta.refused) == ({}, {error: 1})


@pytest.mark.parametrize(("change", "error"), PEOPLE)
async def test_a_change_to_good_user_data_is_refused(sender: Sender, change: Change, error: str) -> None:
    event = good()
    answer = await sender.send(event | {"user_data": changed(event["user_data"], change)})
    assert (answer.status_code, code(answer)) == (400, error)


@pytest.mark.parametrize(
    ("user_data", "source"),
    [(each, "website") for each in ALONE] + [(each, "chat") for each in ALONE_OTHERWISE],
)
async def test_what_says_too_little_of_a_person_is_refused(
    sender: Sender, user_data: Change, source: str
) -> None:
    refused = await sender.send(good(user_data=user_data, action_source=source))
    assert code(refused) == TOO_LITTLE
    taken = await sender.send(good(user_data=user_data | {"external_id": H}, action_source=source))
    assert taken.status_code == 200


@pytest.mark.parametrize(("key", "error"), [("value", NO_VALUE), ("currency", NO_CURRENCY)])
async def test_a_purchase_without_money_is_refused_and_another_event_is_not(
    sender: Sender, key: str, error: str
) -> None:
    event = good_purchase(now=NOW)
    del event["custom_data"][key]
    assert code(await sender.send(event)) == error
    assert code(await sender.send({**event, "custom_data": {}})) == NO_VALUE
    assert (await sender.send(event | {"event_name": "Lead"})).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"action_source": "chat", "event_source_url": ABSENT, "user_data": {"external_id": H}},
        {
            "action_source": "other",
            "event_source_url": ABSENT,
            "user_data": {"em": H, "client_ip_address": "::1"},
        },
        {"event_time": NOW - 7 * 86400, "user_data": {"external_id": H, "client_user_agent": AGENT}},
        {"event_time": NOW + 60},
        {"event_name": "Entrou no VIP"},
        {"custom_data": {"value": 0, "currency": "brl", "plan": "vip", "tags": ["a", {"b": 1}]}},
        {"custom_data": {"contents": [{"id": "vip", "quantity": 1, "item_price": 49.9}]}},
        {"user_data": {"client_user_agent": AGENT, "fbc": f"fb.1.{NOW}000.IwAR_2F4-x.AQECAQIA"}},
        {"opt_out": False, "data_processing_options": []},
    ],
)
async def test_what_meta_allows_is_taken(meta: FakeMeta, sender: Sender, change: Change) -> None:
    assert (await sender.send(changed(good(), change))).status_code == 200
    assert meta.oddities == []


async def test_a_parameter_at_fault_is_named_by_its_place(sender: Sender) -> None:
    answer = await sender.send(good(), changed(good(), {"user_data": ABSENT}))
    error = answer.json()["error"]
    assert error["error_user_msg"] == "The parameter $['data'][1]['user_data'] is required"
    assert error["error_user_title"] == "Server Side Api Parameter Error"
    assert (error["message"], error["type"]) == ("Invalid parameter", "OAuthException")
    assert error["is_transient"] is False
