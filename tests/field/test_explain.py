"""F34, as the operator asks it: whatever keeps a sale from Meta, `trilha explain` says what, and the outbox has the reason.

Everything is real but Meta, which is of this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analytics.explain.gates import GATES, gate_of
from analytics.explain.texts import TEXTS
from backends.sql.erasure import SqlErasures
from domain.clock import iso
from domain.conversions import UNATTRIBUTED, click_event_id
from domain.ids import ClickIds
from tests.daemon_fixture import BOT, SLUG, Door
from tests.delivery.business import (
    ANA,
    BIA,
    DAY,
    HOUR,
    OTHER_PIXEL,
    PIXEL,
    Business,
    in_business,
)
from tests.receiver import receiving

CEU = 77_889_902
PREFETCH = {"Sec-Purpose": "prefetch"}
CRAWLER = {"User-Agent": "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"}


async def of_order(door: Door, order_id: str, language: str = "en") -> Any:
    answer = await door.api.get("/v1/explain", params={"order": order_id, "language": language})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def of_token(door: Door, token: str) -> Any:
    answer = await door.api.get(f"/v1/explain/{token}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def step_of(told: Any, kind: str, where: str = "") -> Any:
    """The one step of that kind, and of that place where there are several."""
    steps = [step for story in told["stories"] for step in story["steps"]]
    (found,) = [step for step in steps if step["kind"] == kind and where in step["title"]]
    return found


async def test_f34_each_gate_that_stops_a_sale_is_explained_and_has_its_reason_in_the_outbox(
    tmp_path: Path,
) -> None:
    """No pixel, event off, Sec-GPC, no click, click lost, too old, erased: a sentence with what to do, and one row."""
    async with in_business(tmp_path, ago=26 * HOUR, honour_gpc=True) as shop:
        await gates(shop)
        async with shop.site.running() as door:
            tokens = await visited(shop, door)
            for name, token in tokens.items():
                await shop.sold(door, token=token, order_id=name)
            await shop.sold(door, telegram_id=BIA, order_id="nobody")
            await shop.sold(door, token=lost_token(shop), order_id="lost")
            await shop.sold(door, order_id="late", at=iso(shop.clock.now_ms() - 8 * 86_400_000))
            erase = SqlErasures(shop.engine).erase
            await erase(CEU, person_key=shop.keyring.person_key(CEU), at_ms=shop.clock.now_ms())
            early = {name: await of_order(door, name) for name in ("nobody", "lost")}
            await shop.turn()
            await shop.turn(25 * HOUR)
            told = {
                name: await of_order(door, name)
                for name in (*tokens, "nobody", "lost", "late", "never reported")
            }
            portuguese = await of_order(door, "bare", "pt")
        rows = {row.order_id: row for row in await shop.rows("Purchase")}
    gate = {name: gate_of(rows[name].reason) for name in told.keys() & rows.keys()}
    assert gate == {
        SLUG: None,
        "bare": "gate.no_pixel",
        "quiet": "gate.event_off",
        "gpc": "gate.gpc",
        "nobody": "gate.no_click",
        "lost": "gate.click_missing",
        "late": "gate.too_old",
    }
    for name, key in gate.items():
        if key is None:
            continue
        assert TEXTS[key][0] in told[name]["headline"], told[name]
        assert told[name]["advice"]
        assert told[name]["verdict"] != "done"
        assert any(
            rows[name].reason in line
            for line in step_of(told[name], f"delivery.{rows[name].state}")["detail"]
        )
    assert told[SLUG]["verdict"] == "done"
    assert "trilha link edit bare --pixel ID" in told["bare"]["advice"]
    assert "trilha link events quiet --on Purchase" in told["quiet"]["advice"]
    assert TEXTS["gate.no_pixel"][1] in portuguese["headline"]
    assert {told["verdict"] for told in early.values()} == {"waiting"}
    assert "POST /v1/conversions" in told["never reported"]["advice"]
    assert not told["never reported"]["known"]


async def gates(shop: Business) -> None:
    for slug, pixel in (("bare", None), ("quiet", PIXEL)):
        await shop.catalog.add_link(slug, bot=BOT, pixel=pixel)
    await shop.catalog.edit_link("quiet", events_off=("Purchase",))


async def visited(shop: Business, door: Door) -> dict[str, str]:
    """A start by each link, and one of somebody whose browser asks for no sharing."""
    tokens = {slug: await shop.came(door, slug=slug) for slug in (SLUG, "bare", "quiet")}
    tokens["gpc"] = await shop.came(door, CEU + 1, **{"Sec-GPC": "1"})
    await shop.came(door, CEU)
    await shop.site.settle()
    return tokens


def lost_token(shop: Business) -> str:
    """A token of ours whose click no store has."""
    click_id = ClickIds().new(shop.clock.now_ms())
    return shop.site.minter().mint(click_id, 1, b"\0" * 8).text


async def test_f34_a_lane_that_is_held_says_since_when_and_what_mends_it(tmp_path: Path) -> None:
    """A pixel without a token: the sale waits, in so many words, until the operator has given one."""
    async with in_business(tmp_path) as shop:
        await shop.catalog.add_link("mute", bot=BOT, pixel=OTHER_PIXEL)
        async with shop.site.running() as door:
            await shop.came(door, slug="mute")
            await shop.sold(door, order_id="A-17")
            await shop.turn()
            held = await of_order(door, "A-17")
            await shop.open_pixel(OTHER_PIXEL)
            await shop.turn(20 * 60)
            sent = await of_order(door, "A-17")
    assert held["verdict"] == "wrong"
    assert f"Meta pixel {OTHER_PIXEL} is held since" in held["headline"]
    assert f"trilha pixel token {OTHER_PIXEL}" in held["advice"]
    assert f"The sale A-17 was sent to Meta pixel {OTHER_PIXEL} at" in sent["headline"]
    assert sent["verdict"] == "done"


async def test_f34_what_meta_refuses_for_good_is_told_in_its_own_words_with_its_name_of_the_call(
    tmp_path: Path,
) -> None:
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            await shop.came(door)
            sale = await shop.sold(door, order_id="A-17")
            shop.meta.faults.poison([sale["event_id"]])
            await shop.turn()
            told = await of_order(door, "A-17")
        (row,) = await shop.rows("Purchase")
    assert row.state == "rejected"
    assert row.reason in told["headline"]
    detail = step_of(told, "delivery.rejected")["detail"]
    assert {f"code {row.code}", f"trace {row.trace}"} <= set(detail)


async def test_f34_a_worker_that_does_not_run_is_the_answer_when_nothing_is_sent(tmp_path: Path) -> None:
    """F40 too: what is due and not even tried is said to be that."""
    async with in_business(tmp_path) as shop, shop.site.running() as door:
        await shop.came(door)
        await shop.sold(door, order_id="A-17")
        shop.clock.advance(3 * HOUR)
        told = await of_order(door, "A-17")
    assert told["verdict"] == "wrong"
    assert "nothing has sent it. Is trilha work running?" in told["headline"]


async def test_f34_page_views_of_programs_and_prefetches_say_what_their_class_changes(tmp_path: Path) -> None:
    """The class changes the accounting, never the answer; a prefetch waits for the START that makes it a person's."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            crawled = await shop.clicked(door, **CRAWLER)
            fetched = await shop.clicked(door, **PREFETCH)
            await shop.turn()
            of_crawler, of_prefetch = await of_token(door, crawled), await of_token(door, fetched)
        crawler_id = shop.site.read(crawled).id
        rows = {row.event_id: row for row in await shop.rows("PageView")}
    view = rows[click_event_id(crawler_id, "PageView")]
    assert gate_of(view.reason) == "gate.class"
    assert f"because {TEXTS['gate.class'][0]}" in step_of(of_crawler, "delivery.skipped")["detail"]
    assert TEXTS["class.changes"][0] in step_of(of_crawler, "class")["detail"]
    assert f"because {TEXTS['gate.prefetch'][0]}" in step_of(of_prefetch, "delivery.pending")["detail"]
    assert TEXTS["class.tentative"][0] in step_of(of_prefetch, "class")["detail"]


async def test_f34_a_page_view_that_no_link_reports_and_a_start_without_a_pixel_are_told(
    tmp_path: Path,
) -> None:
    """Two things that make no event at all: both are on the way of the click."""
    async with in_business(tmp_path) as shop:
        await shop.catalog.add_link("bare", bot=BOT)
        async with shop.site.running() as door:
            token = await shop.came(door, slug="bare")
            await shop.turn()
            told = await of_token(door, token)
    assert step_of(told, "conversion.off")["detail"] == [TEXTS["sale.page_view_off"][0]]
    assert TEXTS["gate.no_pixel"][0] in step_of(told, "delivery.skipped")["detail"][0]
    assert step_of(told, "link")["verdict"] == "wrong"


async def test_f34_a_webhook_that_was_removed_is_told_beside_the_sale_that_was_sent(tmp_path: Path) -> None:
    async with in_business(tmp_path) as shop, receiving() as crm:
        await shop.add_webhook(crm.port)
        async with shop.site.running() as door:
            await shop.came(door)
            await shop.sold(door, order_id="A-17")
            await shop.trilha("webhook", "remove", "crm")
            await shop.turn()
            told = await of_order(door, "A-17")
    assert told["verdict"] == "done"
    detail = step_of(told, "delivery.skipped", "webhook crm")["detail"]
    assert f"because {TEXTS['gate.webhook_removed'][0]}" in detail


async def test_f34_no_reason_of_the_products_own_is_without_a_sentence(tmp_path: Path) -> None:
    """Every reason that stands in an outbox after all of these gates is one that explain knows."""
    async with in_business(tmp_path, ago=26 * HOUR, honour_gpc=True) as shop:
        await gates(shop)
        async with shop.site.running() as door:
            for name, token in (await visited(shop, door)).items():
                await shop.sold(door, token=token, order_id=name)
            await shop.clicked(door, **CRAWLER)
            await shop.clicked(door, **PREFETCH)
            await shop.sold(door, telegram_id=BIA, order_id="nobody")
            await shop.turn()
            waiting = {row.reason for row in await shop.rows() if row.state == "pending"}
            await shop.turn(25 * HOUR)
            await shop.turn(8 * DAY)
        reasons = {row.reason for row in await shop.rows() if row.state != "sent"} | waiting
    unknown = {reason for reason in reasons if reason and gate_of(reason) is None}
    assert not unknown
    assert len(reasons) > 5
    assert set(GATES.values()) >= {gate_of(reason) for reason in reasons if reason}
    assert UNATTRIBUTED == ""


async def test_f34_a_person_is_told_all_of_it_by_the_command(tmp_path: Path) -> None:
    """What the operator runs at night: the click, the start, the sale, and why it is not at Meta."""
    async with in_business(tmp_path) as shop:
        await shop.catalog.add_link("bare", bot=BOT)
        async with shop.site.running() as door:
            await shop.came(door, slug="bare")
            await shop.sold(door, order_id="A-17")
            await shop.turn()
        said = await shop.trilha("explain", "--telegram-id", str(ANA))
        brief = await shop.trilha_json("explain", "--order", "A-17", "--language", "pt")
    first, second, *_ = said.splitlines()
    assert first == "– The sale A-17 was not sent: the link of the click has no pixel."
    assert "trilha link edit bare --pixel ID" in second
    assert "Telegram id 77889900" in said
    assert brief["headline"] == "O envio da venda A-17 não foi feito: o link do clique não tem pixel."
