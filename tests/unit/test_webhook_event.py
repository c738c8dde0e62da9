"""What a webhook gets of a conversion, what it does not get, and what its answers mean."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from delivery.destination import Accepted, Never, NotYet, Ready, Refusal
from delivery.safe_http import Heard, SafeHttp, Unheard
from delivery.webhook import LONGEST_PAUSE, WebhookDestination, sign
from delivery.webhook_event import OLDEST_MS, PATIENCE_MS, PING, batch, prepared
from domain.attribution import Owner
from domain.click import Click
from domain.clock import ManualClock, iso
from domain.conversions import LEAD, PAGE_VIEW, PURCHASE, Conversion, Delivery, Money
from domain.enrichment import TRAFFIC_CLASSES, Agent, Enrichment, Geo, Traffic, TrafficClass
from domain.errors import ConfigError
from domain.webhooks import valid_webhook_name
from privacy.webhook_secrets import valid_secret
from tests.making import NOW, full_click, new_id, ref

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "send-conversions-to-your-own-system.md"
SECRET = "0123456789abcdef" * 4
ID = UUID("6f1c2b52-3c57-5a5b-9c3e-0d9d6f6b7a10")
CLICK = full_click(
    id=new_id(NOW - 5000),
    params={"utm_source": "FB", "src": "x", "utm_term": "ação"},
    sealed=b"originals",
    referer_host="l.facebook.com",
)
OWNER = Owner(bot_id=3, telegram_id=4242)


def classed(kind: TrafficClass = "in_app", *, tentative: bool = False) -> Enrichment:
    geo = Geo(country="BR", region="SP", city="Sao Paulo", asn=64500, source="db 2026")
    return Enrichment(geo=geo, agent=Agent(os="Android"), traffic=Traffic(kind, (), tentative))


def delivery(
    event: str = PURCHASE,
    *,
    click: Click | None = CLICK,
    enrichment: Enrichment | None = None,
    owner: Owner | None = OWNER,
    **changes: Any,
) -> Delivery:
    given: dict[str, Any] = {"click": None if click is None else ref(click)}
    return Delivery(
        lane="webhook/crm",
        conversion=Conversion(**({"id": ID, "event": event, "at_ms": NOW} | given | changes)),
        attempts=2,
        owner=owner,
        link_id=1,
        slug="promo",
        bot="shop_bot",
        click=click,
        enrichment=enrichment,
    )


def event_of(given: Delivery, now_ms: int = NOW) -> dict[str, Any]:
    ready = prepared(given, now_ms)
    assert isinstance(ready, Ready), ready
    found: dict[str, Any] = json.loads(ready.body)
    return found


def test_a_purchase_of_a_click_is_all_that_is_documented() -> None:
    given = delivery(
        enrichment=classed(),
        order_id="A-1",
        money=Money(micros=49_900_000, currency="BRL"),
        custom={"content_ids": ["course-7"], "num_items": 1},
    )
    assert event_of(given) == {
        "version": 1,
        "id": str(ID),
        "event": "Purchase",
        "at": iso(NOW),
        "link": "promo",
        "bot": "shop_bot",
        "telegram_id": 4242,
        "click": {
            "id": str(CLICK.id),
            "clicked_at": iso(NOW - 5000),
            "utm": {"utm_source": "FB", "utm_term": "ação"},
            "params": {"src": "x"},
            "has_fbclid": True,
            "class": "in_app",
            "geo": {"country": "BR", "region": "SP", "city": "Sao Paulo"},
        },
        "value": 49.9,
        "currency": "BRL",
        "order_id": "A-1",
        "custom": {"content_ids": ["course-7"], "num_items": 1},
    }


def test_the_event_of_the_page_has_the_fields_that_are_sent() -> None:
    shown = json.loads(block("json"))["events"][0]
    sent = event_of(delivery(enrichment=classed()))
    assert shown.keys() == sent.keys()
    assert shown["click"].keys() == sent["click"].keys()
    assert shown["click"]["geo"].keys() == sent["click"]["geo"].keys()


def test_nothing_sealed_and_no_digest_is_in_it() -> None:
    """Neither the person's digests nor any key, referer or language of the click."""
    given = delivery(enrichment=classed(), person={"em": ("e" * 64,), "ph": ("f" * 64,)})
    text = json.dumps(event_of(given))
    for word in ("e" * 64, "f" * 64, "originals", "sealed", "visitor", "fbclid_key", "facebook", "pt-BR"):
        assert word not in text


def test_who_came_without_an_ad_and_who_has_not_pressed_start_leave_null() -> None:
    found = event_of(delivery(LEAD, click=None))
    assert (found["click"], found["value"], found["currency"], found["order_id"]) == (None, None, None, None)
    ready = prepared(delivery(enrichment=classed(), owner=None), NOW)
    assert isinstance(ready, Ready)
    assert (json.loads(ready.body)["telegram_id"], ready.matched) == (None, ())
    known = prepared(delivery(enrichment=classed()), NOW)
    assert isinstance(known, Ready)
    assert (known.matched, known.attempts, known.id) == (("telegram_id",), 2, ID)


@pytest.mark.parametrize(
    ("micros", "text"),
    [(49_900_000, "49.9"), (100_000_000, "100"), (10_000, "0.01"), (0, "0"), (-5_000_000, "-5"),
     (9_007_199_254_740_993_000, "9007199254740.993"), (1_234_567, "1.234567")],
)  # fmt: skip
def test_an_amount_is_exact(micros: int, text: str) -> None:
    ready = prepared(delivery(enrichment=classed(), money=Money(micros=micros, currency="BRL")), NOW)
    assert isinstance(ready, Ready)
    assert f'"value":{text},'.encode() in ready.body


# ---------------------------------------------------------------- which, and when


@pytest.mark.parametrize("kind", TRAFFIC_CLASSES)
def test_page_views_of_people_are_sent_and_others_skipped_and_what_people_do_is_sent_always(
    kind: TrafficClass,
) -> None:
    page_view = prepared(delivery(PAGE_VIEW, enrichment=classed(kind)), NOW)
    if kind in {"human", "in_app"}:
        assert isinstance(page_view, Ready)
    else:
        assert page_view == Never(state="skipped", reason=f"the visit is of the class {kind}")
    assert isinstance(prepared(delivery(LEAD, enrichment=classed(kind)), NOW), Ready)


def test_what_is_older_than_seven_days_is_dead() -> None:
    given = delivery(enrichment=classed())
    assert isinstance(prepared(given, NOW + OLDEST_MS), Ready)
    assert prepared(given, NOW + OLDEST_MS + 1) == Never(state="dead", reason="older than 7 days")


@pytest.mark.parametrize(
    "given",
    [delivery(), delivery(PAGE_VIEW, enrichment=classed("prefetch", tentative=True))],
    ids=["no class", "tentative"],
)
def test_an_event_waits_an_hour_for_what_settling_adds(given: Delivery) -> None:
    for age_ms in (0, PATIENCE_MS - 1):
        assert isinstance(prepared(given, NOW + age_ms), NotYet)
    assert not isinstance(prepared(given, NOW + PATIENCE_MS), NotYet)
    assert isinstance(prepared(delivery(LEAD, click=None), NOW), Ready), (
        "without a click there is nothing to wait for"
    )


def test_a_click_that_is_not_settled_is_waited_for_and_then_null() -> None:
    there = delivery()
    given = Delivery(
        lane=there.lane, conversion=there.conversion, attempts=1, owner=OWNER,
        link_id=1, slug="promo", bot="shop_bot", click=None, enrichment=None,
    )  # fmt: skip
    assert isinstance(prepared(given, NOW), NotYet)
    assert event_of(given, NOW + PATIENCE_MS)["click"] is None
    assert event_of(there, NOW + PATIENCE_MS)["click"]["class"] is None


def test_a_page_view_without_a_class_is_never_sent() -> None:
    """Nobody knows whether it is a person's: it waits, and is dead in the end."""
    given = delivery(PAGE_VIEW)
    assert isinstance(prepared(given, NOW + OLDEST_MS), NotYet)
    assert isinstance(prepared(given, NOW + OLDEST_MS + 1), Never)


# ---------------------------------------------------------------- signatures


def test_a_signature_is_hmac_sha256_over_time_dot_and_body() -> None:
    wanted = hmac.new(SECRET.encode(), b'1800000000.{"a":1}', hashlib.sha256).hexdigest()
    assert sign(SECRET.encode(), b'{"a":1}', 1_800_000_000) == f"t=1800000000,v1={wanted}"


def block(language: str) -> str:
    """The first code of that language on the page."""
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_the_receiver_of_the_page_takes_what_is_signed_once_and_nothing_else() -> None:
    """As it is copied from there: with the right secret, in time, unaltered; and each event once."""
    shown: dict[str, Any] = {"__name__": "receiver"}
    exec(block("python"), shown)
    body, now = (
        batch([json.dumps({"id": "1", "event": "Lead", "order_id": None, "value": None}).encode()]),
        1_800_000_000,
    )
    header = sign(SECRET.encode(), body, now)
    is_signed = shown["is_signed"]
    for late in (-300, 0, 300):
        assert is_signed(SECRET, header, body, now + late)
    assert is_signed(SECRET, f"x=y,{header},v0=00", body, now)
    refused = [
        (SECRET, header, body, now + 301),
        (SECRET, header, body, now - 301),
        (SECRET + "x", header, body, now),
        (SECRET, header, body + b" ", now),
        (SECRET, header[:-1], body, now),
        (SECRET, header.replace("t=1", "t=2"), body, now),
        (SECRET, "", body, now),
        (SECRET, "t=,v1=", body, now),
        (SECRET, "t=²,v1=é", body, now),
        (SECRET, "t=" + "9" * 5000, body, now),
        (SECRET, header.partition(",")[2], body, now),
    ]
    for given in refused:
        assert not is_signed(*given)
    seen: set[str] = set()
    shown["time"] = type("Time", (), {"time": staticmethod(lambda: now)})
    assert [shown["webhook"](SECRET, header, body, seen) for _ in range(2)] == [204, 204]
    assert shown["webhook"](SECRET, "", body, seen) == 401
    assert shown["webhook"](SECRET, sign(SECRET.encode(), PING, now), PING, seen) == 204
    assert seen == {"1"}


def test_the_receivers_of_the_page_need_nothing_but_their_languages() -> None:
    code = block("python")
    imports = re.findall(r"^import (\w+)", code, re.MULTILINE)
    assert imports
    assert set(imports) <= sys.stdlib_module_names
    assert re.findall(r'from "([^"]+)"', block("js")) == ["node:crypto", "node:http"]


# ---------------------------------------------------------------- answers


def destination() -> WebhookDestination:
    return WebhookDestination(
        url="https://crm.example.com/s3cr3t",
        secret=SECRET,
        client=SafeHttp(),
        clock=ManualClock(),
    )


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ([400, 413, 422], "event"),
        ([300, 301, 302, 303, 304, 307, 308, 401, 403, 404, 405, 410, 415], "configuration"),
        ([429], "throttled"),
        ([100, 101, 402, 406, 408, 409, 418, 425, 451, 500, 501, 502, 503, 504, 599, 999], "temporary"),
    ],
)
def test_a_status_says_what_is_to_be_done(statuses: Sequence[int], kind: str) -> None:
    for status in statuses:
        answer = destination().answer(Heard(status=status))
        assert isinstance(answer, Refusal)
        assert (answer.kind, answer.code) == (kind, str(status))
        assert f"answered {status}" in answer.reason


def test_every_2xx_takes_all_of_them() -> None:
    for status in (200, 201, 202, 204, 299):
        assert destination().answer(Heard(status=status, body=b"whatever")) == Accepted()


def test_without_an_answer_a_url_that_is_refused_is_the_operators_and_all_else_passes() -> None:
    for kind in ("unreachable", "tls", "timeout", "protocol"):
        answer = destination().answer(Unheard(kind=kind, reason="why"))
        assert answer == Refusal(kind="temporary", code=kind, reason="why")
    answer = destination().answer(Unheard(kind="refused", reason="why"))
    assert answer == Refusal(kind="configuration", code="refused", reason="why")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("120", 120.0), ("999999999999", LONGEST_PAUSE), ("9" * 5000, LONGEST_PAUSE),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0), ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Fri, 15 Jan 2027 08:01:00 -0000", 60.0), ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_PAUSE),
        (None, None), ("", None), ("soon", None), ("-5", None), ("1.5", None), ("²", None), ("Fri, 99 Xxx", None),
        ("Fri, 15 Jan 99999999999 08:01:00 GMT", None), ("\x00" * 10_000, None),
    ],
)  # fmt: skip
def test_a_retry_after_is_read_and_bounded(text: str | None, seconds: float | None) -> None:
    answer = destination().answer(Heard(status=429, retry_after=text))
    assert isinstance(answer, Refusal)
    assert answer.retry_after == seconds


def test_reasons_and_codes_fit_their_columns_and_a_repr_shows_no_secret() -> None:
    made = destination()
    answers = [made.answer(Heard(status=status)) for status in range(100, 600)]
    refusals = [answer for answer in answers if isinstance(answer, Refusal)]
    assert max(len(answer.reason) for answer in refusals) <= 200
    assert max(len(answer.code) for answer in refusals) <= 20
    assert [word for word in (SECRET, "s3cr3t") if word in repr(made) + repr(answers)] == []


# ---------------------------------------------------------------- names and secrets


def test_a_name_fits_its_lane() -> None:
    for name in ("crm", "1", "a-b-2", "a" * 40):
        assert valid_webhook_name(name) == name
    for name in ("", "-a", "A", "a_b", "a/b", "a b", "a" * 41, "ç", "a\n"):
        with pytest.raises(ConfigError):
            valid_webhook_name(name)


def test_a_secret_is_long_varied_and_never_shown() -> None:
    assert valid_secret(f" {SECRET}\n") == SECRET
    for text in ("", "short", "a" * 64, "0123456" * 9, SECRET + " x", "é" * 40, SECRET * 4):
        with pytest.raises(ConfigError) as refused:
            valid_secret(text)
        assert not text or text not in str(refused.value)
