"""Failures in what Meta was told of a person, a click and a sale. Each test is named for one, and guards against it.

Everything is real but Meta, which is of this machine: a click at the daemon, a START and a sale at its API, settling, relay.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import pytest

from backends.sql.schema import clicks
from domain.ids import uuid7_ms
from tests.daemon_fixture import BOT, SLUG
from tests.delivery.business import (
    ANA,
    BASE,
    BIA,
    CLIENT,
    DAY,
    EVENTS,
    FBCLID,
    OTHER_PIXEL,
    PIXEL,
    in_business,
)
from tests.delivery.shop import AGENT
from tests.receiver import receiving

CLIENT6 = "2804:14c:65a1:8e1f:1:2:3:4"
FBP, OTHER_FBP = "fb.1.1700000000000.1098115397", "fb.1.1710000000000.222"
CAMPAIGN = "utm_source=FB&utm_campaign=Black+Friday|120210&code=BF24"
UTMS = {
    "utm_source": "FB",
    "utm_medium": "Público amplo 25-45|120210000000000200",
    "utm_campaign": "Lançamento (frio) + remarketing|120210000000000100",
    "utm_content": "Vídeo 3 – depoimento da Ana|120210000000000300",
    "utm_term": "Instagram_Reels",
}
MADE_UP = (f"{ANA}@t.me", f"user_{ANA}@gmail.com", "noreply@loja.com.br", "sem-email@loja.com.br", "a@a.test")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("forwarded", "told"),
    [(CLIENT, CLIENT), (f"{CLIENT}:51002, 127.0.0.9", CLIENT), (f"8.8.8.8, {CLIENT6}, 127.0.0.9", CLIENT6)],
)
async def test_f20_every_event_names_the_clients_address_and_none_a_proxys(
    tmp_path: Path, forwarded: str, told: str
) -> None:
    """Neither the proxies on the click's way nor the bot that reports the sale are where the person is."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            await shop.came(door, **{"X-Forwarded-For": forwarded})
            await shop.sold(door)
        await shop.turn()
        assert [user["client_ip_address"] for user in shop.users()] == [told] * 3


async def test_f22_all_events_of_a_click_have_the_fbp_that_it_came_with(tmp_path: Path) -> None:
    """A later visit with another cookie changes no event of the earlier one, and a click without one gets none."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            token = await shop.came(door, fbp=FBP)
            await shop.turn()
            later = await shop.came(door, fbp=OTHER_FBP)
            bare = await shop.came(door)
            orders = {each: await shop.sold(door, token=each) for each in (token, later, bare)}
        await shop.turn(DAY)
        fbps = {body["event_id"]: body["user_data"].get("fbp") for body in shop.sent("Purchase")}
        assert [fbps[orders[each]["event_id"]] for each in (token, later, bare)] == [FBP, OTHER_FBP, None]
        for event in ("PageView", "ViewContent"):
            found = [body["user_data"].get("fbp") for body in shop.sent(event)]
            assert sorted(found, key=str) == sorted([FBP, OTHER_FBP, None], key=str)


async def test_f23_fbc_has_the_milliseconds_of_the_click_in_the_purchase_of_six_days_later(
    tmp_path: Path,
) -> None:
    """Not seconds, and neither when START was pressed nor when it was paid."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            token = await shop.clicked(door)
            shop.clock.advance(3600)
            await door.start(token, ANA)
            await shop.turn()
            shop.clock.advance(6 * DAY - 3600)
            await shop.sold(door)
            await shop.turn()
        clicked_at = uuid7_ms(shop.site.read(token).id)
        assert [user["fbc"] for user in shop.users()] == [f"fb.1.{clicked_at}.{FBCLID}"] * 3
        assert shop.one("Purchase")["event_time"] - clicked_at // 1000 >= 6 * DAY - 1


async def test_f24_a_person_is_one_whole_hashed_external_id_in_every_event_and_nobody_elses(
    tmp_path: Path,
) -> None:
    """However the sale names them; two people of one campaign and one address are two, and the campaign is nobody."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            found: dict[int, set[str]] = {}
            for person in (ANA, BIA):
                token = await shop.came(door, person, query=f"{CAMPAIGN}&fbclid={FBCLID}")
                click_id = str(shop.site.read(token).id)
                await shop.site.settle()
                named = {"telegram_id": person}, {"token": token}, {"click_id": click_id}
                ids = {(await shop.sold(door, **who))["event_id"] for who in named}
                ids |= {str(row.event_id) for row in await shop.rows() if str(row.click_id) == click_id}
                assert len(ids) == 5
                await shop.turn()
                sent = {number: body["user_data"] for (_, _, number), body in shop.meta.accepted.items()}
                found[person] = {external for number in ids for external in sent[number]["external_id"]}
        assert {len(externals) for externals in found.values()} == {1}
        (ana,), (bia,) = found[ANA], found[BIA]
        assert ana != bia
        assert {len(ana), len(bia)} == {64}
        texts = ("BF24", "120210", "Black Friday|120210", BOT, SLUG, str(ANA)[:6], str(BIA)[:6])
        assert not {ana, bia} & {sha256(text) for text in texts}


@pytest.mark.parametrize("spelling", [f"::ffff:{CLIENT}", f"[::ffff:{CLIENT}]:443", "::FFFF:b10a:0009"])
async def test_f25_an_ipv4_address_in_ipv6_clothing_reaches_meta_as_plain_ipv4(
    tmp_path: Path, spelling: str
) -> None:
    """In every event, however the proxy writes it."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            await shop.came(door, **{"X-Forwarded-For": spelling})
            await shop.sold(door)
        await shop.turn()
        assert [user["client_ip_address"] for user in shop.users()] == [CLIENT] * 3


async def test_f26_a_made_up_email_is_named_as_ignored_and_neither_kept_nor_sent_and_a_real_one_is(
    tmp_path: Path,
) -> None:
    """The sale goes out all the same, without an `em`."""
    real = "Ana.Souza@padaria.com.br"
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            await shop.came(door)
            answers = [await shop.sold(door, email=email) for email in (*MADE_UP, real)]
        await shop.turn()
        assert [answer["ignored"] for answer in answers] == [*([["email"]] * len(MADE_UP)), []]
        sent = {body["event_id"]: body["user_data"].get("em") for body in shop.sent("Purchase")}
        hashed = [sha256(real.lower())]
        assert [sent[answer["event_id"]] for answer in answers] == [*([None] * len(MADE_UP)), hashed]
        kept = [row.person for row in await shop.rows("Purchase")]
        assert sorted(kept, key=str) == sorted([*([None] * len(MADE_UP)), {"em": hashed}], key=str)


@pytest.mark.parametrize("touch", ["last", "first"])
async def test_f37_a_sale_goes_to_the_pixel_of_the_click_it_is_attributed_to(
    tmp_path: Path, touch: Literal["last", "first"]
) -> None:
    """Of one person with clicks on two links of one bot: the last or the first. A sale that was told a moment before their STARTs
    is of the first in either case, which is the nearest.
    """
    async with in_business(tmp_path, attribution=touch) as shop:
        await shop.open_pixel(OTHER_PIXEL)
        await shop.catalog.add_link("second", bot=BOT, pixel=OTHER_PIXEL)
        async with shop.site.running() as door:
            clicked = [await shop.clicked(door), await shop.clicked(door, "second")]
            early = await shop.sold(door)
            for token in clicked:
                shop.clock.advance(60)
                await door.start(token, ANA)
            answer = await shop.sold(door)
            await shop.turn(30)
        await shop.until_quiet()
        slug, pixel = {"last": ("second", OTHER_PIXEL), "first": (SLUG, PIXEL)}[touch]
        first_click, click = (shop.site.read(token).id for token in (clicked[0], clicked[touch == "last"]))
        assert (answer["link"], answer["pixel"], answer["click"]) == (slug, pixel, str(click))
        assert early["pixel"] is None
        sent = {
            body["event_id"]: (at, body["event_source_url"])
            for at in (PIXEL, OTHER_PIXEL)
            for body in shop.sent("Purchase", at)
        }
        assert sent == {
            early["event_id"]: (PIXEL, f"{BASE}/go/{SLUG}"),
            answer["event_id"]: (pixel, f"{BASE}/go/{slug}"),
        }
        found = {str(row.event_id): row.click_id for row in await shop.rows("Purchase")}
        assert found == {early["event_id"]: first_click, answer["event_id"]: click}


async def test_f38_every_utm_is_there_at_every_hop_from_the_click_to_the_event_and_the_operators_hands(
    tmp_path: Path,
) -> None:
    """Waiting in the spool, at START, in SQL, in the event that the operator's own system gets, and in `trilha`."""
    async with receiving() as receiver:
        hosts = (f"127.0.0.1:{receiver.port}",)
        async with in_business(tmp_path, webhook_hosts=hosts) as shop:
            await shop.add_webhook(receiver.port)
            async with shop.site.running() as door:
                token = await shop.clicked(door, query=urlencode(UTMS | {"src": "bio", "fbclid": FBCLID}))
                seen = [(await door.api.get(f"/v1/clicks/{token}")).json()["utm"]]
                seen.append((await door.start(token, ANA))["click"]["utm"])
                sale = await shop.sold(door, order_id="A-77")
                await shop.turn()
                seen.append((await door.api.get(f"/v1/clicks/{token}")).json()["utm"])
            events = [event for call in receiver.calls for event in json.loads(call.body)["events"]]
            assert {event["event"] for event in events} == set(EVENTS)
            seen += [event["click"]["utm"] for event in events]
            assert {event["click"]["params"]["src"] for event in events} == {"bio"}
            [row] = await shop.site.rows(clicks)
            seen.append({name: text for name, text in row.params.items() if name.startswith("utm_")})
            [story] = await shop.trilha_json("outbox", "show", "A-77")
            assert (story["event_id"], story["click_id"]) == (sale["event_id"], str(row.id))
            seen.append((await shop.trilha_json("click", "show", token))["utm"])
    assert seen == [UTMS] * 8


def nulls(value: Any, path: str = "$") -> list[str]:
    """Where nothing stands for something."""
    if isinstance(value, dict):
        return [found for name, each in value.items() for found in nulls(each, f"{path}.{name}")]
    if isinstance(value, list):
        return [found for each in value for found in nulls(each, f"{path}[]")]
    return [path] if value in (None, "", "None", "null") else []


async def test_f39_no_event_has_a_null_or_a_field_that_meta_does_not_know_and_website_events_say_where(
    tmp_path: Path,
) -> None:
    """From a click that says everything and from one that says nothing; Meta, which refuses such events, refuses none."""
    everything = {
        "email": "ana@padaria.com.br",
        "phone": "(11) 91234-5678",
        "first_name": "Ana",
        "last_name": "Souza",
        "gender": "f",
        "birth_date": "1991-02-03",
        "city": "São Paulo",
        "state": "SP",
        "zip": "01310-100",
        "country": "BR",
        "content_name": "Curso",
        "content_category": "cursos",
        "content_type": "product",
        "num_items": 2,
        "contents": [{"id": "vip", "quantity": 2, "item_price": "48.50"}, {"id": "bonus"}],
    }
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            full = await shop.came(door, fbp=FBP)
            bare = await door.click()
            await door.start(bare, BIA)
            for token in (full, bare):
                await shop.sold(door, token=token, **everything)
                await shop.sold(door, token=token)
                await shop.lead(door, token=token)
            await shop.lead(door, telegram_id=ANA, **dict.fromkeys(everything))
        await shop.turn()
        assert await shop.states() == {
            "sent": 10,
            "skipped": 1,
        }  # nobody looked at the page without a browser
        events = list(shop.meta.accepted.values())
        assert not shop.meta.refused
        assert [found for event in events for found in nulls(event)] == []
        website = [event for event in events if event["action_source"] == "website"]
        assert len(website) == 6
        assert {event["event_source_url"] for event in website} == {f"{BASE}/go/{SLUG}"}
        assert {event["user_data"]["client_user_agent"] for event in website} == {AGENT}
        others = [event for event in events if event not in website]
        assert {event["action_source"] for event in others} == {"chat"}
        assert not any("event_source_url" in event for event in others)
