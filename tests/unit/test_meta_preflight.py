"""What Meta refuses an event for is found before it is sent."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivery.meta.preflight import faults

# The first text that hypothesis makes on a machine takes it seconds.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NOW_S = 1_800_000_000
NOW_MS = NOW_S * 1000
DAY_MS = 86_400_000
DIGEST = hashlib.sha256(b"x").hexdigest()
GONE = object()


def event(**changes: Any) -> dict[str, Any]:
    """A website's event that is in order, with changes; GONE leaves a field out."""
    whole = {
        "event_name": "ViewContent",
        "event_time": NOW_S - 60,
        "event_id": "5b0c2f5e-6a0e-5e43-9a9c-0d5b0c6f8d11",
        "action_source": "website",
        "event_source_url": "https://go.example.com/go/oferta",
        "user_data": {"client_ip_address": "203.0.113.7", "client_user_agent": "Mozilla/5.0"},
    }
    return {name: value for name, value in (whole | changes).items() if value is not GONE}


def purchase(**custom: Any) -> dict[str, Any]:
    whole = {"value": 19.9, "currency": "BRL"} | custom
    kept = {name: value for name, value in whole.items() if value is not GONE}
    return event(event_name="Purchase", custom_data=kept)


def with_user(**user: Any) -> dict[str, Any]:
    base = {"client_ip_address": "203.0.113.7", "client_user_agent": "Mozilla/5.0"}
    return event(user_data={name: value for name, value in (base | user).items() if value is not GONE})


def of(found: dict[str, Any]) -> tuple[str, ...]:
    return faults(found, now_s=NOW_S)


@pytest.mark.parametrize(
    "whole",
    [
        event(),
        event(event_time=NOW_S - 7 * 86_400),
        event(event_time=NOW_S + 60),
        event(action_source="chat", event_source_url=GONE, user_data={"external_id": "a"}),
        event(action_source="system_generated", event_source_url=GONE, user_data={"em": DIGEST}),
        with_user(em=[DIGEST], ct=[DIGEST, DIGEST], external_id=["a", "b"]),
        with_user(fbc=f"fb.1.{NOW_MS - DAY_MS}.IwAR0-_aZ", fbp=f"fb.1.{NOW_MS - 300 * DAY_MS}.1234567890"),
        with_user(fbc=f"fb.1.{NOW_MS}.IwAR0.AQYBAQIA", fbp=f"fb.1.{NOW_MS}.1234567890.AQYBAQIA"),
        with_user(client_ip_address="2804:14d:1::7"),
        with_user(client_ip_address=GONE, fbp=f"fb.1.{NOW_MS}.1", ct=DIGEST),
        purchase(),
        purchase(value=0, order_id="o-1", num_items=2, content_type="product", mine={"a": [1, True, "x"]}),
        purchase(contents=[{"id": "p", "quantity": 1, "item_price": 9.9, "title": "x"}], content_ids=["p"]),
    ],
)
def test_an_event_in_order_has_no_fault(whole: dict[str, Any]) -> None:
    assert of(whole) == ()


@pytest.mark.parametrize(
    ("whole", "field"),
    [
        (event(event_name=GONE), "event_name"),
        (event(event_name=""), "event_name"),
        (event(event_name="x" * 51), "event_name"),
        (event(event_id=GONE), "event_id"),
        (event(event_id="x" * 65), "event_id"),
        (event(event_id=7), "event_id"),
        (event(event_time=GONE), "event_time"),
        (event(event_time=NOW_S - 7 * 86_400 - 1), "event_time"),
        (event(event_time=NOW_S + 61), "event_time"),
        (event(event_time=NOW_MS), "event_time"),
        (event(event_time=float(NOW_S)), "event_time"),
        (event(event_time=str(NOW_S)), "event_time"),
        (event(event_time=True), "event_time"),
        (event(action_source=GONE), "action_source"),
        (event(action_source="business_messaging"), "action_source"),
        (event(action_source="app"), "action_source"),
        (event(action_source=["website"]), "action_source"),
        (event(event_source_url=GONE), "event_source_url"),
        (event(event_source_url=""), "event_source_url"),
        (event(event_source_url="tg://resolve?domain=x"), "event_source_url"),
        (event(event_source_url="https://"), "event_source_url"),
        (event(event_source_url="https://a/" + "x" * 2048), "event_source_url"),
        (event(user_data=GONE), "user_data"),
        (event(user_data={}), "user_data"),
        (event(user_data=None), "user_data"),
        (event(data_processing_options=["LDU"]), "unknown"),
        (event(custom_data=None), "custom_data"),
        (with_user(client_user_agent=GONE), "client_user_agent"),
        (with_user(client_user_agent=""), "client_user_agent"),
        (with_user(client_user_agent="x" * 2049), "client_user_agent"),
        (with_user(email=DIGEST), "user_data"),
        (with_user(client_ip_address="203.0.113.7:443"), "client_ip_address"),
        (with_user(client_ip_address=" 203.0.113.7"), "client_ip_address"),
        (with_user(client_ip_address="::ffff:203.0.113.7"), "client_ip_address"),
        (with_user(client_ip_address="::FFFF:cb00:7107"), "client_ip_address"),
        (with_user(client_ip_address="fe80::1%eth0"), "client_ip_address"),
        (with_user(client_ip_address="[2804:14d:1::7]"), "client_ip_address"),
        (with_user(client_ip_address="203.0.113"), "client_ip_address"),
        (with_user(client_ip_address="203.0.113.7\0"), "client_ip_address"),
        (with_user(client_ip_address=DIGEST), "client_ip_address"),
        (with_user(em="ana@loja.com.br"), "em"),
        (with_user(em=DIGEST.upper()), "em"),
        (with_user(em=[]), "em"),
        (with_user(em=[DIGEST] * 21), "em"),
        (with_user(em=None), "em"),
        (with_user(ph=hashlib.sha256(b"").hexdigest()), "ph"),
        (with_user(zp=[DIGEST, ""]), "zp"),
        (with_user(country="br"), "country"),
        (with_user(external_id=""), "external_id"),
        (with_user(external_id=7), "external_id"),
        (with_user(external_id=[]), "external_id"),
        (with_user(fbc="IwAR0"), "fbc"),
        (with_user(fbc=DIGEST), "fbc"),
        (with_user(fbc=f"fb.1.{NOW_S}.IwAR0"), "fbc"),
        (with_user(fbc=f"fb.1.{NOW_MS}.IwAR0%20"), "fbc"),
        (with_user(fbc=f"fb.1.{NOW_MS}."), "fbc"),
        (with_user(fbc=f"fb.1.{NOW_MS - 98 * DAY_MS}.IwAR0"), "fbc"),
        (with_user(fbc=f"fb.1.{NOW_MS + DAY_MS}.IwAR0"), "fbc"),
        (with_user(fbp=f"fb.1.{NOW_S}.123"), "fbp"),
        (with_user(fbp=f"fb.1.{NOW_MS}.abc"), "fbp"),
        (with_user(fbp=f"fb.1.{NOW_MS + DAY_MS}.123"), "fbp"),
        (with_user(fbp=None), "fbp"),
        (purchase(value=GONE), "value"),
        (purchase(currency=GONE), "currency"),
        (event(event_name="Purchase"), "value"),
        (purchase(value=-0.01), "value"),
        (purchase(value="19.90"), "value"),
        (purchase(value=float("nan")), "value"),
        (purchase(value=float("inf")), "value"),
        (purchase(value=2**70), "value"),
        (purchase(value=True), "value"),
        (purchase(currency="brl"), "currency"),
        (purchase(currency="R$"), "currency"),
        (purchase(currency="XTR"), "currency"),
        (purchase(currency=["BRL"]), "currency"),
        (purchase(contents={}), "contents"),
        (purchase(contents=[]), "contents"),
        (purchase(contents=["p"]), "contents"),
        (purchase(contents=[{"quantity": 1}]), "contents"),
        (purchase(contents=[{"id": ""}]), "contents"),
        (purchase(contents=[{"id": "p", "quantity": 0}]), "contents"),
        (purchase(contents=[{"id": "p", "quantity": 1.5}]), "contents"),
        (purchase(contents=[{"id": "p", "item_price": "9"}]), "contents"),
        (purchase(contents=[{"id": "p", "price": 9}]), "contents"),
        (purchase(content_ids=[7]), "content_ids"),
        (purchase(order_id=""), "custom_data"),
        (purchase(mine=[{"a": "de ana@loja.com.br"}]), "e-mail"),
        (purchase(**{"ana@loja.com.br": 1}), "e-mail"),
        (purchase(contents=[{"id": "ana@loja.com.br"}]), "e-mail"),
        (purchase(mine=None), "custom_data"),
        (purchase(mine=[]), "custom_data"),
        (purchase(mine={"": 1}), "custom_data"),
        (purchase(mine={"a": {"b": {"c": {"d": {"e": 1}}}}}), "custom_data"),
        (purchase(mine="x" * 2049), "custom_data"),
        (purchase(mine=object()), "custom_data"),
        (purchase(**{f"f{number}": 1 for number in range(50)}), "custom_data"),
    ],
)
def test_each_fault_is_found_and_names_its_field(whole: dict[str, Any], field: str) -> None:
    assert any(field in found for found in of(whole)), of(whole)


@pytest.mark.parametrize(
    "keys",
    [
        ("ct", "country", "st", "zp", "ge", "client_user_agent"),
        ("ct", "country"),
        ("client_user_agent",),
        ("db", "client_user_agent"),
        ("db",),
        ("fn", "ge"),
        ("ln", "ge"),
    ],
)
def test_what_too_many_people_share_is_refused_alone_and_taken_with_more(keys: tuple[str, ...]) -> None:
    user = dict.fromkeys(keys, DIGEST)
    chat = event(action_source="chat", event_source_url=GONE, user_data=user)
    assert of(chat) == ("user_data has only what too many people share",)
    for more in ({"external_id": "a"}, {"client_ip_address": "203.0.113.7"}, {"fbp": f"fb.1.{NOW_MS}.1"}):
        assert of(chat | {"user_data": user | more}) == ()


def test_all_that_is_wrong_with_custom_data_is_said_at_once() -> None:
    assert of(event(custom_data={"status": "x", "num_items": 2})) == ()
    assert of(event(custom_data={"status": None, "currency": "XTR"})) == (
        "currency is not one of ISO 4217 that Meta can take",
        "custom_data has an empty value, is too large or too deep",
    )


def test_faults_hold_no_values() -> None:
    broken = with_user(em="ana@loja.com.br", client_ip_address="203.0.113.7:443", fbc="IwAR0secret", mine="x")
    assert not any(part in " ".join(of(broken)) for part in ("ana", "203", "IwAR", "mine"))


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from([*event(), "custom_data"])
users = st.sampled_from([*with_user()["user_data"], "em", "fbc", "fbp", "external_id", "ge"])
customs = st.sampled_from(["value", "currency", "contents", "content_ids", "x"])


@patient
@given(
    st.dictionaries(fields, anything, max_size=3),
    st.none() | st.dictionaries(users, anything, max_size=3),
    st.none() | st.dictionaries(customs, anything, max_size=3),
)
def test_whatever_it_is_given_it_never_raises(top: Any, user: Any, custom: Any) -> None:
    whole = event(event_name="Purchase") | top
    whole |= {"user_data": user} if user is not None else {}
    whole |= {"custom_data": custom} if custom is not None else {}
    assert all(0 < len(found) <= 200 for found in of(whole))
