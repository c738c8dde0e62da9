"""Reporting conversions, over real sockets and real stores."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from backends.sql.erasure import SqlErasures
from backends.sql.schema import outbox
from domain.conversions import person_event_id
from domain.ids import ClickIds, named_uuid
from privacy.keyring import Keyring
from tests.daemon_fixture import BOT, SLUG, Door, Site, captured_logs

ANA, PIXEL = 77_889_900, "1234567890"
SALE = {
    "bot": BOT,
    "event": "Purchase",
    "telegram_id": ANA,
    "order_id": "A-1",
    "value": "97.00",
    "currency": "BRL",
}
PERSON = {
    "email": "ana.souza.secreta@padaria-da-ana.com.br",
    "phone": "(11) 91234-5678",
    "first_name": "Anamélia",
    "last_name": "Sobrenomíssima",
    "gender": "f",
    "birth_date": "1991-02-03",
    "city": "Pindamonhangaba",
    "state": "SP",
    "zip": "12400-123",
    "country": "BR",
}
CLEAR = ("ana.souza", "91234", "11912345678", "nam\u00e9lia", "obrenom", "1991", "indamonhangaba", "12400")


async def post(door: Door, body: Any, status: int = 200) -> Any:
    answer = await door.api.post("/v1/conversions", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def sales(site: Site) -> list[Any]:
    return [row for row in await site.rows(outbox) if row.event == "Purchase"]


async def test_a_sale_is_answered_with_its_click_link_and_pixel_and_again_as_the_same(
    door: Door, site: Site
) -> None:
    token = await door.click("utm_source=FB")
    await door.start(token, ANA)
    first = await post(door, SALE | PERSON | {"email": "no address", "num_items": -1})
    assert first == {
        "event_id": first["event_id"],
        "state": "pending",
        "reason": None,
        "new": True,
        "click": str(site.read(token).id),
        "link": SLUG,
        "pixel": PIXEL,
        "ignored": ["email", "num_items"],
    }
    by_token = {name: told for name, told in SALE.items() if name != "telegram_id"} | {"token": token}
    for body in (SALE, SALE | {"value": 1.5, "currency": "usd"}, by_token):
        assert await post(door, body) == first | {"new": False, "ignored": []}
    [row] = await sales(site)
    assert (row.value, row.currency, row.person.get("em")) == (
        97_000_000,
        "BRL",
        None,
    )
    assert row.person["ct"] == [sha256(b"pindamonhangaba").hexdigest()]
    assert await door.metric('trilha_conversions_total{event="Purchase",state="pending"}') == 1
    assert await door.metric('trilha_conversions_total{event="Purchase",state="repeated"}') == 3


async def test_a_click_is_named_by_its_token_or_its_id_before_sql_has_it(door: Door, site: Site) -> None:
    token = await door.click()
    named = {"token": token}, {"click_id": str(site.read(token).id)}
    for number, whose in enumerate(named):
        body = {"bot": BOT, "event": "Lead", "order_id": str(number), **whose}
        answer = await post(door, body)
        assert (answer["state"], answer["link"], answer["click"]) == ("pending", SLUG, named[1]["click_id"])


async def test_a_click_id_of_nobody_is_unknown_and_the_order_may_be_reported_rightly(
    door: Door, site: Site
) -> None:
    body = {name: told for name, told in SALE.items() if name != "telegram_id"}
    for identifier in (uuid4(), ClickIds().new(site.clock.now_ms())):
        refused = await post(door, body | {"click_id": str(identifier)}, 422)
        assert refused["error"] == "unknown_click"
    assert (await post(door, SALE))["new"] is True


async def test_a_person_whose_start_is_not_there_yet_waits_for_it(door: Door, site: Site) -> None:
    answer = await post(door, SALE)
    assert (answer["state"], answer["click"], answer["pixel"], answer["new"]) == ("pending", None, None, True)
    [row] = await sales(site)
    assert (row.lane, row.telegram_id) == ("", ANA)


async def test_what_happened_long_ago_is_written_down_as_dead(door: Door, site: Site) -> None:
    await door.start(await door.click(), ANA)
    long_ago = (datetime.now(UTC) - timedelta(days=7, minutes=1)).isoformat()
    answer = await post(door, SALE | {"at": long_ago})
    assert (answer["state"], answer["reason"], answer["new"]) == ("dead", "older than 7 days", True)
    assert await door.metric('trilha_conversions_total{event="Purchase",state="dead"}') == 1


async def test_nothing_is_kept_of_somebody_who_was_erased_after_it(door: Door, site: Site) -> None:
    await door.start(await door.click(), ANA)
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    async with site.engine() as engine:
        key = Keyring(site.settings.secrets, site.clock).person_key(ANA)
        await SqlErasures(engine).erase(ANA, person_key=key, at_ms=site.clock.now_ms())
    answer = await post(door, SALE | PERSON | {"at": hour_ago})
    assert (answer["state"], answer["reason"], answer["new"]) == ("skipped", "erased", False)
    assert await sales(site) == []


async def test_twenty_reports_of_one_order_at_once_are_one_sale(door: Door, site: Site) -> None:
    await door.start(await door.click(), ANA)
    answers = await asyncio.gather(*(post(door, SALE) for _ in range(20)))
    assert [answer["new"] for answer in answers].count(True) == 1
    assert len({answer["event_id"] for answer in answers}) == 1
    assert len(await sales(site)) == 1


# ---------------------------------------------------------------- refused

NAMED = {"bot": BOT, "event": "Lead", "telegram_id": 7}
BAD_BODIES: tuple[Any, ...] = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"[" * 10_000,
    {},
    NAMED | {"ip": "1.2.3.4"},
    NAMED | {"telegram_id": "7"},
    NAMED | {"telegram_id": 0},
    NAMED | {"telegram_id": 2**52},
    NAMED | {"event": None},
    NAMED | {"click_id": "x", "telegram_id": None},
    NAMED | {"contents": {}},
    NAMED | {"contents": [{"quantity": 1}]},
    NAMED | {"contents": [{"id": "a", "x": 1}]},
    NAMED | {"email": ["a@b.example"]},
    NAMED | {"value": True, "currency": "BRL"},
    NAMED | {"value": [], "currency": "BRL"},
    b'{"bot":"trail_test_bot","event":"Lead","telegram_id":7,"email":"\\ud800"}',
    b'{"bot":"trail_test_bot","event":"Lead","telegram_id":7,"currency":"BRL","value":NaN}',
)
BAD_REPORTS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"event": "PageView"}, "event"),
    ({"event": "ViewContent"}, "event"),
    ({"event": "a\x00"}, "event"),
    ({"event": "Purchase"}, "value, currency, order_id"),
    ({"event": "Purchase", "value": 1, "currency": "BRL"}, "order_id"),
    ({"value": -1, "currency": "BRL"}, "value"),
    ({"value": 1}, "currency"),
    ({"currency": "BRL"}, "value"),
    ({"order_id": "a\x00"}, "order_id"),
    ({"at": "2026-11-24"}, "at"),
    ({"at": "2999-01-01T00:00:00Z"}, "future"),
    ({"telegram_id": None}, "exactly one"),
    ({"click_id": str(uuid4())}, "exactly one"),
)


async def test_a_body_that_is_not_as_described_is_422_and_writes_nothing(door: Door, site: Site) -> None:
    for body in BAD_BODIES:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await door.api.post("/v1/conversions", content=raw)
        assert (answer.status_code, answer.json()["error"]) == (422, "invalid_body"), (body, answer.text)
    huge = await door.api.post("/v1/conversions", json=NAMED | {"email": "x" * 17_000})
    assert huge.status_code == 413
    assert await site.rows(outbox) == []


async def test_a_report_that_cannot_be_made_says_what_to_change(door: Door, site: Site) -> None:
    for change, says in BAD_REPORTS:
        found = await post(door, NAMED | change, 422)
        assert (found["error"], says in found["detail"]) == ("invalid_conversion", True), (change, found)
    assert (await post(door, NAMED | {"bot": "nobody_bot"}, 422))["error"] == "unknown_bot"
    for token in ("x", "A" * 62, ""):
        refused = await post(door, NAMED | {"telegram_id": None, "token": token}, 422)
        assert refused["error"] == "invalid_token"
    assert await site.rows(outbox) == []


async def test_without_a_key_nothing_is_reported(door: Door, site: Site) -> None:
    answer = await door.api.post("/v1/conversions", json=SALE, headers={"authorization": "Bearer x"})
    assert answer.status_code == 401
    assert await site.rows(outbox) == []


HOSTILE = (
    "' OR 1=1; --",
    "😀" * 60,
    "\u202e" * 50,
    "a@" + "b" * 700,
    "\x00\x1b[2J",
    "١٢٣٤٥",
    "{{7*7}}",
    " ",
)


async def test_whatever_stands_in_a_field_that_can_be_left_out_costs_no_sale(door: Door, site: Site) -> None:
    texts = [*PERSON, "content_name", "content_category", "content_type"]
    for number, text in enumerate(HOSTILE):
        body = SALE | dict.fromkeys(texts, text) | {"order_id": str(number)}
        body |= {"contents": [{"id": text, "item_price": text}], "num_items": 10**30}
        answer = await post(door, body)
        assert (answer["state"], answer["new"]) == ("pending", True)
        assert {"email", "num_items", "contents"} <= set(answer["ignored"])
    assert len(await sales(site)) == len(HOSTILE)


# ---------------------------------------------------------------- stores that fail


async def test_with_sql_down_a_sale_is_deferred_and_settles_once_after_its_start(
    site: Site,
) -> None:
    """Sent again while it waits, it is kept as it was sent first."""
    site.sql_away()
    async with site.running() as door:
        token = await door.click()
        await door.start(token, ANA)
        first = await post(door, SALE | PERSON)
        assert (first["state"], first["new"], first["reason"]) == ("deferred", False, None)
        again = await post(door, SALE | {"value": 1})
        assert again == first | {"ignored": []}
        by_token = {"bot": BOT, "event": "Lead", "token": token}
        lead = await post(door, by_token)
        assert (lead["state"], lead["link"], lead["click"]) == ("deferred", SLUG, str(site.read(token).id))
        assert await door.metric('trilha_conversions_total{event="Purchase",state="deferred"}') == 2
        site.sql_back()
        await site.settle()
        later = await post(door, SALE)
    assert (later["state"], later["new"], later["event_id"]) == ("pending", False, first["event_id"])
    assert later["click"] == str(site.read(token).id)
    [row] = await sales(site)
    assert (row.value, row.lane, bool(row.person)) == (97_000_000, f"meta/{PIXEL}", True)


async def test_with_sql_and_spool_down_a_sale_is_503_and_to_be_sent_again(site: Site) -> None:
    site.sql_away()
    site.break_spool()
    async with site.running() as door:
        answer = await door.api.post("/v1/conversions", json=SALE)
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"


# ---------------------------------------------------------------- privacy


async def test_nobody_finds_a_person_by_the_id_of_their_event_who_does_not_have_the_key_ring(
    door: Door, site: Site
) -> None:
    """Destinations are told it, and it outlives an erasure: a name for it that anybody can make tells whose it is."""
    told = [await post(door, {"bot": BOT, "event": "Lead", "telegram_id": ANA}) for _ in range(2)]
    assert [answer["new"] for answer in told] == [True, False]
    assert {answer["event_id"] for answer in told} == {told[0]["event_id"]}
    for bot_id in range(3):
        for name in (f"{bot_id}/Lead/person/{ANA}", f"{bot_id}/{ANA}/Lead", str(ANA)):
            assert told[0]["event_id"] != str(named_uuid("event", name))
    ring = Keyring(site.settings.secrets, site.clock)
    assert told[0]["event_id"] == str(person_event_id(1, "Lead", ring.external_id(ANA)))


def everything_under(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


async def test_nothing_of_a_person_is_in_clear_in_any_file_log_or_answer(site: Site) -> None:
    """In the spool while SQL is away, in SQL afterwards; and in no refusal."""
    site.sql_away()
    with captured_logs("debug") as page:
        async with site.running() as door:
            said = [json.dumps(await post(door, SALE | PERSON))]
            said.append(json.dumps(await post(door, SALE | PERSON | {"value": -1}, 422)))
            said.append(json.dumps(await post(door, SALE | PERSON | {PERSON["email"]: 1}, 422)))
            said.append((await door.api.get("/metrics")).text)
            spooled = everything_under(site.home)
            site.sql_back()
            await site.settle()
            said.append(json.dumps(await post(door, SALE | PERSON | {"order_id": "A-2"})))
    email = sha256(PERSON["email"].encode()).hexdigest()
    kept = everything_under(site.home)
    assert email.encode() in spooled
    assert email.encode() in kept
    for clear in CLEAR:
        for place in (spooled, kept, page.getvalue().encode(), "".join(said).encode()):
            assert clear.encode() not in place, clear
    assert str(ANA) not in page.getvalue()
