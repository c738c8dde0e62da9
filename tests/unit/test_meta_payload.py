"""A delivery becomes one event for Meta, or waits, or never goes: and says why."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivery.destination import Never, NotYet, Prepared, Ready
from delivery.meta.payload import prepared
from delivery.meta.preflight import faults
from domain.attribution import Owner
from domain.conversions import PAGE_VIEW, PURCHASE, VIEW_CONTENT, Conversion, Delivery, Money
from domain.enrichment import TRAFFIC_CLASSES, Enrichment, Geo, Traffic
from domain.ids import first_uuid7
from privacy.seal import Original
from tests.golden.meta import body_in, names
from tests.golden.meta.cases import (
    BOUGHT_MS,
    CASES,
    CLICK,
    CLICKED_MS,
    EXTERNAL_ID,
    PERSON,
    SOURCE_URL,
    STARTED_MS,
    enrichment,
    of_click,
    of_order,
    of_person,
    original,
    ready,
)
from tests.making import NOW, bare_click, ref

# The first text that hypothesis makes on a machine takes it seconds.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

DAY_MS = 86_400_000


def prepare(delivery: Delivery, sealed: Original | None = None, **changes: Any) -> Prepared:
    told = {"now_ms": NOW, "external_id": EXTERNAL_ID, "source_url": SOURCE_URL, "honour_gpc": True}
    return prepared(delivery, sealed, **(told | changes))  # type: ignore[arg-type]


def event(delivery: Delivery, sealed: Original | None = None, **changes: Any) -> dict[str, Any]:
    found = prepare(delivery, sealed, **changes)
    assert isinstance(found, Ready), found
    body: dict[str, Any] = json.loads(found.body)
    assert found.matched == tuple(body["user_data"])
    return body


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------- golden


@pytest.mark.parametrize("name", CASES)
def test_every_case_is_sent_byte_for_byte_as_its_file_says(name: str) -> None:
    assert ready(CASES[name]).body == body_in(name)


def test_there_is_a_file_for_each_case_and_no_other() -> None:
    assert names() == CASES.keys()


# ---------------------------------------------------------------- what is in it


def test_an_event_has_its_own_time_and_id() -> None:
    delivery = of_click(VIEW_CONTENT, STARTED_MS + 999)
    found = event(delivery, original())
    assert (found["event_time"], found["event_id"]) == (STARTED_MS // 1000, str(delivery.conversion.id))


def test_it_is_a_websites_only_with_an_agent_and_the_links_url() -> None:
    delivery = of_click(VIEW_CONTENT, STARTED_MS)
    whole = event(delivery, original())
    assert (whole["action_source"], whole["event_source_url"]) == ("website", SOURCE_URL)
    for found in (
        event(delivery, None),
        event(delivery, original(user_agent=" ")),
        event(delivery, original(), source_url=None),
    ):
        assert found["action_source"] == "chat"
        assert "event_source_url" not in found


def test_fbc_and_fbp_go_as_they_were_sealed_and_are_never_made_anew() -> None:
    fbc, fbp = f"fb.1.{NOW - 80 * DAY_MS}.IwAR0-abc_D", f"fb.1.{NOW - 200 * DAY_MS}.12345"
    user = event(of_click(VIEW_CONTENT, STARTED_MS), original(fbc=fbc, fbp=fbp))["user_data"]
    assert (user["fbc"], user["fbp"]) == (fbc, fbp)
    for broken in ("", "IwAR0", "fb.1.1799999.x", f"fb.1.{NOW}.a b", f"fb.1.{NOW - 99 * DAY_MS}.x"):
        user = event(of_click(VIEW_CONTENT, STARTED_MS), original(fbc=broken, fbp=broken))["user_data"]
        assert not user.keys() & {"fbc", "fbp"}


@pytest.mark.parametrize(
    ("ip", "sent"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:cb00:7107", "203.0.113.7"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
        *(
            (ip, None)
            for ip in ("", "127.0.0.1", "10.1.2.3", "::1", "fd00::1", "100.64.1.1", "::ffff:10.0.0.1")
        ),
        *((ip, None) for ip in ("203.0.113.7:80", " 203.0.113.7", "fe80::1%eth0", "unknown", "é", "1\0")),
    ],
)
def test_an_address_goes_as_meta_takes_it_or_not_at_all(ip: str, sent: str | None) -> None:
    user = event(of_click(VIEW_CONTENT, STARTED_MS), original(ip=ip))["user_data"]
    assert user.get("client_ip_address") == sent


def test_the_place_of_the_click_is_sent_beside_what_the_operator_knows() -> None:
    user = event(of_order(PURCHASE, "o-1", money=Money(micros=1, currency="BRL"), person=PERSON))["user_data"]
    assert user["ct"] == [sha("olinda"), sha("recife")]
    assert (user["st"], user["country"]) == ([sha("pe")], [sha("br")])


def test_without_an_owner_there_is_no_external_id() -> None:
    delivery = of_click(PAGE_VIEW, CLICKED_MS)
    assert event(delivery, original())["user_data"]["external_id"] == [EXTERNAL_ID]
    assert "external_id" not in event(delivery, original(), external_id=None)["user_data"]


@pytest.mark.parametrize(
    ("micros", "written"),
    [
        (97_000_000, "97"),
        (19_900_000, "19.9"),
        (1_990_000, "1.99"),
        (0, "0"),
        (290_000, "0.29"),
        (10, "0.00001"),
        (1_234_567_890_000, "1234567.89"),
    ],
)
def test_an_amount_is_written_as_it_was_meant(micros: int, written: str) -> None:
    found = prepare(of_order(PURCHASE, "o-1", money=Money(micros=micros, currency="BRL")))
    assert isinstance(found, Ready)
    amount = found.body.partition(b'"value":')[2].partition(b",")[0].decode()
    assert float(amount) == float(written)
    assert len(amount) <= len(written)


def test_an_events_own_fields_win_over_the_operators() -> None:
    custom = {"value": 1, "order_id": "other", "currency": "USD", "content_name": "x"}
    found = event(of_order(PURCHASE, "o-1", money=Money(micros=2_000_000, currency="BRL"), custom=custom))
    assert found["custom_data"] == {"value": 2, "order_id": "o-1", "currency": "BRL", "content_name": "x"}


# ---------------------------------------------------------------- whether and when


def test_who_asked_for_no_sharing_is_not_reported_where_that_is_honoured() -> None:
    delivery = of_click(VIEW_CONTENT, STARTED_MS, click=bare_click(id=CLICK.id, gpc=True))
    assert prepare(delivery, original()) == Never(
        state="skipped", reason="the visitor asked for no sharing (Sec-GPC)"
    )
    assert isinstance(prepare(delivery, original(), honour_gpc=False), Ready)


def test_what_is_too_old_is_dead_a_minute_before_meta_refuses_it() -> None:
    last = 7 * DAY_MS - 60_000
    old = of_person("Lead")
    assert isinstance(prepare(old, now_ms=BOUGHT_MS + last), Ready)
    assert prepare(old, now_ms=BOUGHT_MS + last + 1) == Never(state="dead", reason="older than 7 days")


@pytest.mark.parametrize("kind", TRAFFIC_CLASSES)
def test_a_page_view_is_a_persons_and_a_start_is_believed(kind: Any) -> None:
    seen = prepare(of_click(PAGE_VIEW, CLICKED_MS, enrichment=enrichment(kind=kind)), original())
    if kind in {"human", "in_app"}:
        assert isinstance(seen, Ready)
    else:
        assert seen == Never(state="skipped", reason=f"traffic class {kind}")
    assert isinstance(
        prepare(of_click(VIEW_CONTENT, STARTED_MS, enrichment=enrichment(kind=kind)), original()), Ready
    )


def test_a_page_view_of_a_prefetch_waits_ten_minutes_for_the_start_that_makes_it_a_persons() -> None:
    """Some apps fetch an ad's page before anybody has touched it."""
    tentative = Enrichment(traffic=Traffic("prefetch", tentative=True))
    delivery = of_click(PAGE_VIEW, CLICKED_MS, enrichment=tentative)
    waits = NotYet(seconds=15, reason="a person may stand behind the prefetch")
    assert prepare(delivery, original(), now_ms=CLICKED_MS + 599_999) == waits
    assert prepare(delivery, original(), now_ms=CLICKED_MS + 600_000) == Never(
        state="skipped", reason="traffic class prefetch"
    )
    promoted = of_click(
        PAGE_VIEW, CLICKED_MS, enrichment=Enrichment(traffic=Traffic("in_app", tentative=True))
    )
    assert isinstance(prepare(promoted, original(), now_ms=CLICKED_MS + 1000), Ready)


def test_an_event_waits_ten_minutes_for_its_click_and_goes_without_it_then() -> None:
    delivery = of_click(VIEW_CONTENT, STARTED_MS, click=None, enrichment=None)
    late = {"now_ms": STARTED_MS + 600_000, "honour_gpc": False}
    assert prepare(delivery) == NotYet(seconds=15, reason="its click has not come yet")
    assert isinstance(prepare(delivery, now_ms=STARTED_MS + 599_999, honour_gpc=False), NotYet)
    assert event(delivery, **late)["user_data"] == {"external_id": [EXTERNAL_ID]}


def test_where_consent_counts_an_event_waits_a_day_for_its_click_and_never_goes_without_it() -> None:
    """Whether the browser had asked for no sharing is known with the click only."""
    delivery = of_click(VIEW_CONTENT, STARTED_MS, click=None, enrichment=None)
    assert isinstance(prepare(delivery, now_ms=STARTED_MS + DAY_MS - 1), NotYet)
    late = prepare(delivery, now_ms=STARTED_MS + DAY_MS)
    assert late == Never(state="skipped", reason="its click did not come")


def test_a_page_view_whose_click_never_came_is_skipped() -> None:
    delivery = of_click(PAGE_VIEW, CLICKED_MS, click=None, enrichment=None)
    assert isinstance(prepare(delivery), NotYet)
    late = prepare(delivery, now_ms=CLICKED_MS + 600_000)
    assert late == Never(state="skipped", reason="its click did not come")


def test_an_event_waits_ten_minutes_for_the_class_of_its_click() -> None:
    view, page = (of_click(name, CLICKED_MS, enrichment=None) for name in (VIEW_CONTENT, PAGE_VIEW))
    assert prepare(view, original()) == NotYet(seconds=15, reason="its click is not classed yet")
    assert isinstance(prepare(page, original()), NotYet)
    late = CLICKED_MS + 600_000
    assert isinstance(prepare(view, original(), now_ms=late), Ready)
    assert prepare(page, original(), now_ms=late) == Never(state="skipped", reason="traffic class not known")


def test_a_person_without_a_click_waits_for_none() -> None:
    assert isinstance(prepare(of_person("Lead")), Ready)


def test_an_event_from_the_future_waits_and_one_from_far_away_is_rejected() -> None:
    person = of_person("Lead")
    ahead = prepare(person, now_ms=BOUGHT_MS - 90_000)
    assert isinstance(ahead, NotYet)
    assert ahead.seconds == 90
    assert isinstance(prepare(person, now_ms=BOUGHT_MS - 60_000), Ready)
    far = prepare(person, now_ms=BOUGHT_MS - DAY_MS)
    assert far == Never(state="rejected", reason="event_time is in the future")


@pytest.mark.parametrize(
    ("delivery", "reason"),
    [
        (of_order(PURCHASE, "o-1"), "a Purchase needs value and currency"),
        (of_order("Lead", "o-1", person={"em": ("ana@loja.com.br",)}), "em is not hashed as it must be"),
        (of_order("Lead", "o-1", custom={"a": ["ana@loja.com.br"]}), "custom_data has an e-mail address"),
        (of_order("Lead", "ana@loja.com.br"), "custom_data has an e-mail address"),
        (of_order("Lead", "o-1", custom={"note": "\ud800"}), "the event has text that is not Unicode"),
        (
            of_order(PURCHASE, "o", money=Money(micros=5, currency="XTR")),
            "currency is not one of ISO 4217 that Meta can take",
        ),
    ],
)
def test_what_meta_would_refuse_is_rejected_here_with_the_reason(delivery: Delivery, reason: str) -> None:
    assert prepare(delivery, original()) == Never(state="rejected", reason=reason)


def test_what_nobody_could_be_found_by_is_rejected() -> None:
    found = prepare(of_person("Lead"), external_id=None)
    assert found == Never(state="rejected", reason="user_data is missing")


# ---------------------------------------------------------------- whatever comes

SECRET, RAW = "SECRET", "ana@loja.com.br"
plain = st.text(max_size=12) | st.sampled_from(
    [
        "São Paulo",
        "SP",
        "BR",
        "203.0.113.7",
        "::ffff:1.2.3.4",
        f"fb.1.{NOW}.abc",
        f"fb.1.{NOW}.123",
    ]
)
texts = plain | st.sampled_from([RAW, "\ud800"])
# Mostly such as can be sent: or nothing would be found out about what is.
recent = st.integers(NOW - 6 * DAY_MS, NOW)
times = recent | recent | st.integers(NOW - 700_000, NOW + 100_000) | st.integers(0, 2**47)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
customs = st.dictionaries(
    texts | st.sampled_from(["contents", "value"]), scalars | st.lists(scalars, max_size=2), max_size=3
)
hashed = st.binary(min_size=1, max_size=4).map(lambda raw: hashlib.sha256(raw).hexdigest())
sound_people = st.dictionaries(
    st.sampled_from(["em", "ph", "ct", "ge", "other"]),
    st.lists(hashed, min_size=1, max_size=2).map(tuple),
    max_size=3,
)
people = (
    sound_people
    | sound_people
    | st.dictionaries(st.sampled_from(["em", "ct"]), st.lists(hashed | texts, max_size=2).map(tuple))
)
originals = st.builds(
    Original,
    ip=plain,
    user_agent=plain,
    fbclid=st.just(SECRET),
    fbc=plain,
    fbp=plain,
    referer=st.just(f"https://{SECRET}.example/{RAW}"),
)
geos = st.builds(
    Geo, country=st.none() | texts, region=st.none() | texts, city=st.none() | st.just(SECRET) | texts
)
enrichments = st.builds(
    lambda geo, kind: Enrichment(geo=geo, traffic=Traffic(kind)), geos, st.sampled_from(TRAFFIC_CLASSES)
)


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    click = bare_click(
        id=first_uuid7(draw(times)),
        params={"utm_source": SECRET},
        language=SECRET,
        gpc=draw(st.integers(0, 3)) == 0,
    )
    conversion = Conversion(
        id=UUID(int=draw(st.integers(0, 2**128 - 1))),
        event=draw(st.sampled_from([PAGE_VIEW, VIEW_CONTENT, PURCHASE, "Lead", ""])),
        at_ms=draw(times),
        click=draw(st.sampled_from([None, ref(click)])),
        order_id=draw(st.none() | texts),
        money=draw(
            st.none()
            | st.builds(Money, micros=st.integers(-1, 2**63), currency=st.sampled_from(["BRL", "USD", "XTR"]))
        ),
        custom=draw(st.just({}) | customs),
        person=draw(people),
    )
    return replace(
        of_click(VIEW_CONTENT, STARTED_MS),
        conversion=conversion,
        owner=Owner(bot_id=1, telegram_id=777_000_777_000_777),
        click=draw(st.sampled_from([None, click])),
        enrichment=draw(enrichments | enrichments | st.none()),
    )


def assert_private(found: Ready) -> None:
    assert faults(json.loads(found.body), now_s=NOW // 1000) == ()
    assert not any(raw in found.body for raw in (SECRET.encode(), RAW.encode(), b"777000777000777"))
    assert len(" ".join(found.matched)) <= 200


@patient
@given(
    deliveries(),
    st.none() | originals,
    st.just(EXTERNAL_ID) | st.none() | plain,
    st.sampled_from([None, SOURCE_URL, "", "x"]),
    st.booleans(),
)
def test_whatever_is_delivered_is_in_order_and_private_or_does_not_go(
    delivery: Delivery, sealed: Original | None, external_id: str | None, source_url: str | None, gpc: bool
) -> None:
    found = prepare(delivery, sealed, external_id=external_id, source_url=source_url, honour_gpc=gpc)
    if isinstance(found, Ready):
        assert_private(found)
    else:
        assert 0 < len(found.reason) <= 200
        assert not isinstance(found, NotYet) or found.seconds > 0


@patient
@given(recent, st.sampled_from([VIEW_CONTENT, "Lead", PAGE_VIEW]), sound_people, st.none() | originals, geos)
def test_whatever_of_a_visitor_cannot_be_used_the_event_goes_without_it(
    at_ms: int, name: str, person: dict[str, tuple[str, ...]], sealed: Original | None, geo: Geo
) -> None:
    delivery = of_click(name, at_ms, enrichment=enrichment(geo))
    delivery = replace(delivery, conversion=replace(delivery.conversion, person=person))
    found = prepare(delivery, sealed)
    assert isinstance(found, Ready), found
    assert_private(found)
