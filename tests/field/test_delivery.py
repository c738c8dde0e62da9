"""Failures on the way of a conversion to Meta. Each test is named for one, and guards against it.

Everything is real but Meta, which is of this machine: a click at the daemon, a START and a sale at its API, settling, relay,
and the operator's commands.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import pytest

from backends.sql.schema import clicks
from delivery.meta.client import CALL_SECONDS
from delivery.sending import LEASE_SECONDS
from tests.daemon_fixture import BOT, SLUG
from tests.delivery.business import (
    ANA,
    BIA,
    DAY,
    EVENTS,
    HOUR,
    OTHER_PIXEL,
    PIXEL,
    ROOT,
    SOON,
    Business,
    in_business,
)
from tests.receiver import receiving

MINUTE = 60.0
SALES = 109
BUSY = {"sqlite": "BEGIN IMMEDIATE", "postgres": "LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE"}
TOKENS = (
    "EAAB" + "x9" * 90,
    "EAAGm0PX4ZCpsBA" + "M7ZBq3ZAw" * 20 + "ZDZD",
    "1234567890123456|abcDEF_-123456789xyz",
    "EAAJ.part-one_two." + "k" * 40,
    "EAAB" + "q+/~" * 20 + "==",
    "EAAQ" + "v" * 440,
)


async def test_f12_while_meta_fails_click_and_conversions_are_kept_and_go_out_when_it_is_back(
    tmp_path: Path,
) -> None:
    """What is saved does not depend on what Meta says to it, nor on whether it says anything."""
    async with in_business(tmp_path) as shop:
        await shop.meta.go_down()
        async with shop.site.running() as door:
            token = await shop.came(door)
            await shop.sold(door)
            await shop.turns(3 * HOUR, every=HOUR)
        assert await shop.states() == {"pending": 3}
        row = await shop.site.row(token)
        assert (row.owner_telegram_id, row.params) == (ANA, {"utm_source": "FB"})
        assert shop.site.opened(row).fbclid
        await shop.meta.come_up()
        await shop.until_quiet()
        assert {event for _, event, _ in shop.meta.accepted} == set(EVENTS)
        assert await shop.states() == {"sent": 3}


async def test_f29_what_was_sent_is_committed_as_sent_and_no_later_worker_sends_it_again(
    tmp_path: Path,
) -> None:
    """Neither one beside the first while that lives, nor one that is started when all leases are over."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            await shop.came(door)
            await shop.sold(door)
        await shop.turn()
        async with shop.site.engine() as engine:
            other = shop.new_relay(engine)
            for seconds in (0.0, LEASE_SECONDS + 1, DAY):
                shop.clock.advance(seconds)
                await other.pass_()
                await other.settled()
        async with shop.site.running() as door, shop.worker():
            later = await shop.sold(door)
            await shop.until(lambda rows: all(row.state == "sent" for row in rows))
        assert later["event_id"] in {number for _, _, number in shop.meta.received}
        assert set(shop.meta.received.values()) == {1}
        assert len(shop.meta.received) == len(await shop.rows()) == 4


async def killed_during_its_call(shop: Business, fault: Literal["slow", "hang"]) -> None:
    """`trilha work` as a process of its own, killed while a call of it that the fault strikes is open."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "work"),
        cwd=ROOT,
        env=shop.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(SOON):
            while not shop.meta.faults.struck[fault]:
                await asyncio.sleep(0.01)
    finally:
        process.kill()
        await process.wait()


async def test_f30_a_worker_killed_after_sending_sends_again_under_the_same_ids_and_meta_counts_once(
    tmp_path: Path,
) -> None:
    """Meta has taken them and nobody has noted it: not before the lease is over, and then as what they were."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            await shop.came(door)
            await shop.sold(door)
        await shop.site.settle()
        shop.meta.faults.slow(1.0)
        await killed_during_its_call(shop, "slow")
        await shop.meta.wait_for(lambda: len(shop.meta.received) == 3)
        assert await shop.states() == {"pending": 3}
        shop.meta.faults.clear()
        await shop.turn()
        assert set(shop.meta.received.values()) == {1}
        await shop.turn(LEASE_SECONDS)
        assert await shop.states() == {"sent": 3}
        assert (len(shop.meta.received), set(shop.meta.received.values())) == (3, {2})
        assert set(shop.meta.counted.values()) == {1}


async def test_f31_a_worker_killed_before_its_call_was_heard_loses_nothing(tmp_path: Path) -> None:
    """Nothing counts as sent that Meta has not taken: it goes out once, when the lease is over."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            await shop.came(door)
            await shop.sold(door)
        await shop.site.settle()
        shop.meta.faults.hang()
        await killed_during_its_call(shop, "hang")
        shop.meta.faults.clear()
        assert await shop.states() == {"pending": 3}
        assert not shop.meta.received
        await shop.turn(LEASE_SECONDS + 1)
        assert await shop.states() == {"sent": 3}
        assert (len(shop.meta.received), set(shop.meta.received.values())) == (3, {1})


@pytest.mark.parametrize("failing", ["meta", "webhook"])
async def test_f32_what_one_destination_never_takes_the_other_has_at_once(
    tmp_path: Path, failing: str
) -> None:
    """Each has a row of its own: one dies after seven days of failures, the other was sent at the first try."""
    async with receiving() as receiver:
        hosts = (f"127.0.0.1:{receiver.port}",)
        async with in_business(tmp_path, webhook_hosts=hosts) as shop:
            await shop.add_webhook(receiver.port)
            if failing == "meta":
                shop.meta.faults.fail(how="500")
            else:
                receiver.answer = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
            async with shop.site.running() as door:
                await shop.came(door)
                sale = await shop.sold(door)
            await shop.turn()
            first = {row.lane.partition("/")[0]: row.state for row in await shop.rows("Purchase")}
            await shop.turns(7 * DAY + 2 * HOUR, every=6 * HOUR)
            last = {row.lane.partition("/")[0]: row.state for row in await shop.rows("Purchase")}
            other = {"meta": "webhook", "webhook": "meta"}[failing]
            assert first == {failing: "pending", other: "sent"}
            assert last == {failing: "dead", other: "sent"}
            assert bool(shop.meta.accepted) is (failing == "webhook")
            if failing == "meta":
                assert [sale["event_id"].encode() in call.body for call in receiver.calls] == [True]


async def test_f33_a_sale_is_answered_and_work_goes_on_while_meta_says_nothing(tmp_path: Path) -> None:
    """The report is a row in SQL and waits for nobody; when Meta answers again, all of it is there."""
    async with in_business(tmp_path) as shop:
        shop.meta.faults.hang()
        async with shop.site.running() as door, shop.worker():
            await shop.came(door)
            async with asyncio.timeout(SOON):
                while not shop.meta.faults.struck["hang"]:
                    await asyncio.sleep(0.01)
            async with asyncio.timeout(CALL_SECONDS):
                answers = [await shop.sold(door) for _ in range(5)]
            assert {(answer["state"], answer["new"]) for answer in answers} == {("pending", True)}
            token = await shop.came(door, BIA)
            async with asyncio.timeout(SOON):
                while len(await shop.site.rows(clicks)) < 2 or (await shop.site.row(token)).scored_at is None:
                    await asyncio.sleep(0.05)
            assert not shop.meta.received
            assert await shop.states("Purchase") == {"pending": 5}
            shop.meta.faults.clear()
            shop.meta.drop()
            await shop.until(lambda rows: len(rows) == 9 and all(row.state == "sent" for row in rows))
        assert {answer["event_id"] for answer in answers} == {
            body["event_id"] for body in shop.sent("Purchase")
        }


async def test_f34_every_sale_is_sent_or_counted_with_the_reason_why_not(tmp_path: Path) -> None:
    """Whatever is switched off or missing, there is one row for each sale, and `trilha outbox list` counts them all."""
    async with in_business(tmp_path, ago=26 * HOUR, honour_gpc=True) as shop:
        for slug, pixel in (("bare", None), ("quiet", PIXEL), ("gone", PIXEL), ("mute", OTHER_PIXEL)):
            await shop.catalog.add_link(slug, bot=BOT, pixel=pixel)
        await shop.catalog.edit_link("quiet", events_off=("Purchase",))
        async with shop.site.running() as door:
            tokens = {
                slug: await shop.clicked(door, slug) for slug in (SLUG, "bare", "quiet", "gone", "mute")
            }
            tokens["gpc"] = await shop.clicked(door, **{"Sec-GPC": "1"})
            await shop.site.settle()
            await shop.site.execute(
                "DELETE FROM link_bots WHERE link_id IN (SELECT id FROM links WHERE slug = 'gone')"
            )
            await shop.site.execute("DELETE FROM links WHERE slug = 'gone'")
            for name, token in tokens.items():
                await shop.sold(door, token=token, order_id=name)
            await shop.sold(door, telegram_id=BIA, order_id="nobody")
            unknown = {"bot": BOT, "event": "Lead", "click_id": "0190a000-0000-7000-8000-000000000000"}
            refused = await door.api.post("/v1/conversions", json=unknown)
        assert (refused.status_code, refused.json()["error"]) == (422, "unknown_click")
        await shop.turn()
        await shop.turn(25 * HOUR)
        found = {row.order_id: (row.state, row.reason) for row in await shop.rows("Purchase")}
        assert found == {
            SLUG: ("sent", None),
            "bare": ("skipped", "the link has no pixel"),
            "quiet": ("skipped", "the link does not report Purchase"),
            "gone": ("skipped", "the link has no pixel"),
            "mute": ("pending", None),
            "gpc": ("skipped", "the visitor asked for no sharing (Sec-GPC)"),
            "nobody": ("skipped", "no click of this person is known"),
        }
        assert [body["custom_data"]["order_id"] for body in shop.sent("Purchase")] == [SLUG]
        said = await shop.trilha_json("outbox", "list", "--event", "Purchase", "--since", "7d")
        assert said["counts"] == {"sent": 1, "skipped": 5, "pending": 1}
        assert Counter(row["state"] for row in said["deliveries"]) == said["counts"]
        assert all(row["reason"] for row in said["deliveries"] if row["state"] == "skipped")
        assert f"trilha pixel token {OTHER_PIXEL}" in said["held"][f"meta/{OTHER_PIXEL}"]


async def test_f35_all_sales_reach_meta_and_nobody_has_to_open_a_page(tmp_path: Path) -> None:
    """Days after START, told by the bot alone: as many at Meta as there were, each with what its click brought."""
    async with in_business(tmp_path) as shop:
        people = range(ANA, ANA + SALES)
        async with shop.site.running() as door:
            for person in people:
                await shop.came(door, person)
            await shop.turn()
            seen = set(shop.meta.accepted)
            shop.clock.advance(3 * DAY)
            answers = [await shop.sold(door, telegram_id=person) for person in people]
        await shop.turn()
        sales = shop.sent("Purchase")
        assert {body["event_id"] for body in sales} == {answer["event_id"] for answer in answers}
        assert (len(sales), len({body["user_data"]["external_id"][0] for body in sales})) == (SALES, SALES)
        assert all("fbc" in body["user_data"] for body in sales)
        assert {event for _, event, _ in set(shop.meta.accepted) - seen} == {"Purchase"}


async def test_f36_an_order_reported_again_minutes_later_is_the_same_event_before_and_after_it_was_sent(
    tmp_path: Path,
) -> None:
    """However it is named the second time, so does Meta get it once; and a START pressed twice is one event too."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            token = await shop.came(door)
            first = await shop.sold(door, order_id="A-1")
            shop.clock.advance(7 * MINUTE)
            again = await shop.sold(door, order_id="A-1", token=token)
            await door.start(token, ANA)
            await shop.turn()
            shop.clock.advance(13 * MINUTE)
            late = await shop.sold(door, order_id="A-1", value="1.00")
            await door.start(token, ANA)
            await shop.turn()
        assert [answer["event_id"] for answer in (again, late)] == [first["event_id"]] * 2
        assert [answer["new"] for answer in (first, again, late)] == [True, False, False]
        assert {event: len(shop.sent(event)) for event in EVENTS} == dict.fromkeys(EVENTS, 1)
        assert set(shop.meta.received.values()) == {1}
        assert shop.one("Purchase")["custom_data"]["value"] == 97


async def doctors_word(shop: Business) -> tuple[str, str]:
    """What `trilha doctor` finds of delivery."""
    findings = await shop.trilha_json("doctor", code=None)
    [found] = [finding for finding in findings if finding["check"] == "delivery"]
    return found["verdict"], found["detail"]


async def test_f40_without_a_worker_events_wait_and_doctor_says_so_until_one_runs(tmp_path: Path) -> None:
    """Nothing vanishes and nothing is silent: all goes out with the first worker."""
    async with in_business(tmp_path, ago=20 * MINUTE) as shop:
        async with shop.site.running() as door:
            await shop.came(door)
            await shop.sold(door)
        shop.clock.advance(20 * MINUTE)
        verdict, detail = await doctors_word(shop)
        assert (verdict, "is `trilha work` running?" in detail) == ("warning", True), detail
        assert await shop.states() == {"pending": 3}
        async with shop.worker():
            await shop.until(lambda rows: all(row.state == "sent" for row in rows))
        assert {event for _, event, _ in shop.meta.accepted} == set(EVENTS)
        verdict, detail = await doctors_word(shop)
        assert (verdict, detail) == ("ok", "1 pixels, 1 in use; 0 conversions wait")


@pytest.mark.parametrize("token", TOKENS)
async def test_f41_a_token_of_any_plausible_form_is_taken_and_sent_with(tmp_path: Path, token: str) -> None:
    """As long as an access token may be, with whatever may stand in one, and with the line end of a file."""
    async with in_business(tmp_path) as shop:
        shop.meta.renew(PIXEL, token)
        said = await shop.trilha("pixel", "token", PIXEL, "--token-file", "-", said=f"{token}\r\n")
        assert token not in said
        async with shop.site.running() as door:
            await shop.came(door)
        await shop.turn()
        assert await shop.states() == {"sent": 2}
        assert not shop.meta.refused


async def test_f41_what_meta_refuses_for_good_is_tried_once_and_its_reason_is_there_to_read(
    tmp_path: Path,
) -> None:
    """A day of turns makes no second attempt at it, and holds up nothing behind it."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            await shop.came(door)
            await shop.turn()
            bad = await shop.sold(door, order_id="bad")
            shop.meta.faults.poison([bad["event_id"]])
            calls = len(shop.meta.calls)
            await shop.turns(DAY, every=HOUR)
            assert [(call.status, call.error) for call in shop.meta.calls[calls:]] == [(400, "100/2804048")]
            good = await shop.sold(door)
            await shop.turn()
        assert good["event_id"] in {body["event_id"] for body in shop.sent("Purchase")}
        [story] = await shop.trilha_json("outbox", "show", "bad")
        [delivery] = story["deliveries"]
        assert (delivery["state"], delivery["attempts"]) == ("rejected", 1)
        assert (delivery["code"], delivery["reason"]) == ("100/2804048", "This event cannot be accepted.")


@pytest.mark.parametrize("says", [0, -1])
async def test_f42_what_meta_has_not_received_is_no_success_until_it_has(tmp_path: Path, says: int) -> None:
    """None of them, or fewer than were sent: they wait with that as their reason, and are sent again."""
    async with in_business(tmp_path) as shop:
        shop.meta.faults.short(takes=False, says=says)
        async with shop.site.running() as door:
            await shop.came(door)
            await shop.sold(door)
        await shop.turn()
        rows = await shop.rows()
        assert {(row.state, row.code, row.sent_at) for row in rows} == {("pending", "received 0", None)}
        assert not shop.meta.received
        shop.meta.faults.clear()
        await shop.until_quiet()
        assert await shop.states() == {"sent": 3}
        assert {event for _, event, _ in shop.meta.accepted} == set(EVENTS)


async def reconciled(shop: Business) -> Any:
    return await shop.trilha_json("outbox", "reconcile")


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_f43_reconciling_twice_at_once_again_and_after_it_was_broken_off_never_locks_itself_out(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    """One that finds the database busy gives up and leaves nothing behind; then two at once write each event once."""
    url = request.getfixturevalue("postgres_url") if engine == "postgres" else None
    async with in_business(tmp_path, sql_url=url) as shop:
        async with shop.site.running() as door:
            for person in range(ANA, ANA + 6):
                await shop.came(door, person)
        await shop.turn()
        before = Counter((row.event_id, row.event, row.lane) for row in await shop.rows())
        assert len(before) == 12
        await shop.site.execute("DELETE FROM outbox WHERE event = 'ViewContent'")

        async with shop.engine.connect() as connection:
            await connection.exec_driver_sql(BUSY[engine])
            await asyncio.gather(*(shop.trilha("outbox", "reconcile", code=3) for _ in range(2)))
            await connection.rollback()
        both = await asyncio.gather(*(reconciled(shop) for _ in range(2)))
        again = [await reconciled(shop) for _ in range(2)]
        assert sum(done["repaired"] for done in both) == 6
        assert [(done["missing"], done["repaired"]) for done in again] == [(0, 0)] * 2
        assert Counter((row.event_id, row.event, row.lane) for row in await shop.rows()) == before
        await shop.until_quiet()
        assert set(shop.meta.counted.values()) == {1}
        assert await shop.states() == {"sent": 12}
