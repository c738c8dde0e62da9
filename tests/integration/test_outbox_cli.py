"""trilha outbox, as the operator's hands use it: real commands on a real file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.outbox import SqlOutbox
from backends.sql.schema import clicks, lanes, links, outbox
from cli.common import EXIT_CONFIG, EXIT_FAILED, EXIT_STORE
from domain.clock import SystemClock
from domain.conversions import LEAD, PAGE_VIEW, PURCHASE, UNATTRIBUTED, VIEW_CONTENT
from domain.ids import random_uuid
from privacy.keyring import Keyring
from privacy.token import Minter
from tests.commands import Commands
from tests.making import PATIENT, bare_click, new_id, person_key, start_of

PIXEL = "1234567890"
META, HOOK = f"meta/{PIXEL}", "webhook/crm"
HOUR, DAY = 3_600_000, 86_400_000
PERSON = 7_012_345_678
DUE = {"due": 0, "too_old": 0, "sent_too_long_ago": 0, "dry_run": False}
Row = dict[str, Any]


class Hands:
    """An operator with a home and a link, whose commands run in this process."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.home, self.err = home, ""
        self.url = f"sqlite+aiosqlite:///{home / 'trilha.db'}"
        self.commands = Commands(
            patch, capture, home_dir=str(home), sql_url=self.url, timezone="America/Sao_Paulo"
        )
        patch.setenv("COLUMNS", "200")
        self("keys", "create")
        self("migrate")
        self("bot-account", "add", "shop_bot")
        self("link", "add", "promo", "--bot", "shop_bot", "--pixel", PIXEL)
        self.now = SystemClock().now_ms()

    def __call__(self, *words: str, given: str = "", code: int = 0) -> str:
        """What the command says on standard output; what it says on standard error is in `err`."""
        said = self.commands(*words, given=given, code=code)
        self.err = said.err
        return said.out

    def outbox(self, *words: str, code: int = 0) -> str:
        return self("outbox", *words, code=code)

    def json(self, *words: str) -> Any:
        return json.loads(self("outbox", *words, "--json"))

    def sql(self, work: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            engine = make_engine(self.url, patience=PATIENT)
            try:
                return await work(engine)
            finally:
                await engine.dispose()

        return asyncio.run(whole())

    def execute(self, statement: Any, *rows: Any) -> list[Any]:
        async def work(engine: AsyncEngine) -> list[Any]:
            async with engine.begin() as connection:
                done = await connection.execute(statement, list(rows) or None)
                return list(done.all()) if done.returns_rows else []

        found: list[Any] = self.sql(work)
        return found

    def put(self, **changes: Any) -> UUID:
        """A delivery that was sent a moment ago, but for these changes."""
        row: Row = {
            "event_id": random_uuid(),
            "lane": META,
            "event": LEAD,
            "event_at": self.now,
            "state": "sent",
            "attempts": 1,
            "next_at": self.now,
            "link_id": 1,
            "bot_id": 1,
            "telegram_id": PERSON,
        }
        row |= changes
        self.execute(insert(outbox), row)
        event_id: UUID = row["event_id"]
        return event_id

    def rows(self) -> dict[tuple[UUID, str], Any]:
        return {(row.event_id, row.lane): row for row in self.execute(select(outbox))}

    def states(self) -> list[str]:
        return sorted(row.state for row in self.rows().values())


@pytest.fixture
def hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hands:
    return Hands(tmp_path / "home", monkeypatch, capsys)


FAILED: Row = {"state": "rejected", "reason": "Purchase without value", "code": "100/2804009", "trace": "AbC"}


# ---------------------------------------------------------------- list


def test_an_empty_outbox_says_so(hands: Hands) -> None:
    said = hands.outbox("list")
    assert "no conversion that is asked for" in said
    assert "nothing" in said
    assert hands.json("list") == {"deliveries": [], "counts": {}, "counted_all": True, "held": {}}


def test_list_shows_the_newest_first_with_counts_of_all_states_and_lanes_that_are_held(hands: Hands) -> None:
    hands.put(event_at=hands.now - 5000)
    waits = hands.put(state="pending", next_at=hands.now - 1, event_at=hands.now - 3000, event=PURCHASE)
    hands.put(**FAILED, event_at=hands.now - 4000)
    hands.put(lane=UNATTRIBUTED, state="skipped", reason="the link has no pixel", event_at=hands.now - 6000)
    hands.put(event_at=hands.now - 2 * DAY)
    lines = hands.outbox("list").splitlines()
    assert [line.split()[3] for line in lines[1:5]] == [PURCHASE, LEAD, LEAD, LEAD]
    assert waits.hex[:8] in lines[1]
    assert "now" in lines[1]
    assert "rejected" in lines[2]
    assert "Purchase without value" in lines[2]
    assert "nowhere" in lines[4]
    assert lines[-1].endswith("(America/Sao_Paulo): 1 pending, 1 rejected, 1 sent, 1 skipped")
    hands.execute(insert(lanes), {"lane": META, "held_at": hands.now, "hold_reason": "token refused"})
    said = hands.outbox("list", "--state", "pending")
    assert "held" in said.splitlines()[1]
    assert f"HELD: {META}: token refused" in said
    assert "HELD" not in hands.outbox("list", "--webhook", "crm")


def test_a_reason_with_brackets_is_shown_as_it_is(hands: Hands) -> None:
    """Redaction puts words in brackets, and Meta may write what a table would take for its own markup."""
    says = "(#100) bad [ip] and [/foo] [bold]"
    hands.put(state="rejected", reason=says)
    assert says in hands.outbox("list")


def test_list_takes_states_a_destination_an_event_a_time_and_a_limit(hands: Hands) -> None:
    hands.put()
    hands.put(**FAILED)
    hands.put(lane=HOOK, event=PURCHASE, state="dead", reason="older than 7 days")
    hands.put(event_at=hands.now - 2 * DAY)

    def states(*words: str) -> list[str]:
        return sorted(item["state"] for item in hands.json("list", *words)["deliveries"])

    assert states() == ["dead", "rejected", "sent"]
    assert states("--state", "rejected,dead") == ["dead", "rejected"]
    assert states("--pixel", PIXEL) == ["rejected", "sent"]
    assert states("--webhook", "crm") == states("--lane", HOOK) == states("--event", PURCHASE) == ["dead"]
    assert states("--lane", "") == []
    assert states("--since", "3d") == ["dead", "rejected", "sent", "sent"]
    assert len(states("--since", "3d", "--limit", "1")) == 1


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("list", "--state", "lost"), "no such state: 'lost'"),
        (("list", "--pixel", PIXEL, "--webhook", "crm"), "one of --lane, --pixel and --webhook"),
        (("list", "--pixel", "abc"), "pixel"),
        (("list", "--since", "yesterday"), "not a duration"),
        (("retry", "--state", "sent"), "trilha outbox replay"),
        (("retry", "--state", ""), "--state is rejected"),
        (("retry", "nobody"), "no event or order 'nobody'"),
        (("replay", "--pixel", PIXEL, "--since", "1h", "--until", "2h"), "before --until"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_what_would_be_right(
    hands: Hands, words: tuple[str, ...], part: str
) -> None:
    hands.outbox(*words, code=EXIT_CONFIG)
    assert part in hands.err


def test_without_its_tables_every_command_says_so_and_exits_3(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRILHA_SQL_URL", f"sqlite+aiosqlite:///{hands.home}/other.db")
    for words in (
        ("list",),
        ("show", "A-1"),
        ("dead-letters",),
        ("retry",),
        ("replay", "--pixel", PIXEL, "--since", "1h"),
    ):
        hands.outbox(*words, code=EXIT_STORE)
        assert hands.err.startswith("trilha: SQL"), words


# ---------------------------------------------------------------- show


def test_show_tells_an_order_s_whole_story_in_every_lane_with_what_to_do_and_nothing_personal(
    hands: Hands,
) -> None:
    click = bare_click(id=new_id(hands.now), link_id=1)

    async def settle(engine: AsyncEngine) -> None:
        await SqlLedger(engine, person_key).settle([click], [start_of(click, PERSON)], [])

    hands.sql(settle)
    both: Row = {"event_id": random_uuid(), "event": PURCHASE, "order_id": "A-17", "click_id": click.id}
    both |= {"value": 49_900_000, "currency": "BRL", "person": {"em": ["d" * 64]}, "telegram_id": PERSON}
    hands.put(**both, sent_at=hands.now, matched="client_ip_address fbc", trace="AbC")
    hands.put(**both, lane=HOOK, state="pending", attempts=3, code="404", reason="the webhook answered 404")
    said = hands.outbox("show", "A-17")
    for part in (
        f"{PURCHASE} {both['event_id']}",
        "A-17",
        "49.90 BRL",
        "promo",
        "@shop_bot",
        str(click.id),
        f"{META}: sent",
        "client_ip_address fbc",
        "AbC",
        f"{HOOK}: pending",
        "the webhook answered 404",
        "trilha webhook add crm --replace --url URL",
    ):
        assert part in said, part
    [event] = hands.json("show", both["event_id"].hex[:8])
    assert (event["order_id"], event["value"], event["currency"]) == ("A-17", 49.9, "BRL")
    assert (event["link"], event["bot"], event["click_id"]) == ("promo", "shop_bot", str(click.id))
    sent, waits = event["deliveries"]
    assert (sent["lane"], sent["state"], sent["trace"], sent["next_at"]) == (META, "sent", "AbC", None)
    assert sent["matched"] == ["client_ip_address", "fbc"]
    assert (waits["attempts"], waits["code"], waits["advice"][:4]) == (3, "404", "give")
    for personal in (str(PERSON), "d" * 64):
        assert personal not in hands.commands.said


def test_show_finds_the_events_of_a_click_by_its_token(hands: Hands) -> None:
    ring = Keyring(hands.home / "secrets" / "keyring.json", SystemClock())
    minter = Minter(ring, SystemClock(), node=0, attribution_days=28)
    click_id = new_id(hands.now)
    token = minter.mint(click_id, 1, b"\0" * 8).text
    hands.put(click_id=click_id, event=VIEW_CONTENT)
    [event] = hands.json("show", token)
    assert event["click_id"] == str(click_id)
    hands.outbox("show", token[:-1] + ("A" if token[-1] != "A" else "B"), code=EXIT_FAILED)
    assert "the token is refused" in hands.err
    assert f"{VIEW_CONTENT} " in hands("outbox", "show", "-", given=f"{token}\n")


def test_show_of_nothing_exits_1(hands: Hands) -> None:
    hands.outbox("show", "A-404", code=EXIT_FAILED)
    assert "no event, order or click" in hands.err
    assert json.loads(hands.outbox("show", "A-404", "--json", code=EXIT_FAILED)) == []


def test_show_names_what_a_held_lane_waits_for(hands: Hands) -> None:
    hands.put(order_id="A-1", state="pending", attempts=0)
    hands.execute(insert(lanes), {"lane": META, "held_at": hands.now, "hold_reason": "token refused"})
    assert "its lane is held: token refused" in hands.outbox("show", "A-1")
    [event] = hands.json("show", "A-1")
    assert event["deliveries"][0]["held"] == "token refused"
    advice = event["deliveries"][0]["advice"]
    assert f"trilha pixel token {PIXEL} --token-file -" in advice
    assert "nothing" not in advice


# ---------------------------------------------------------------- dead letters


def test_dead_letters_are_grouped_with_advice(hands: Hands) -> None:
    assert "no dead letters since" in hands.outbox("dead-letters")
    for n in range(3):
        hands.put(**FAILED, event_at=hands.now - n * HOUR)
    newest = hands.put(lane=HOOK, state="dead", reason="older than 7 days: it answered 500", code="500")
    hands.put(**FAILED, event_at=hands.now - 10 * DAY)
    said = hands.outbox("dead-letters")
    first, second = said.split("\n\n")
    assert first.split()[:4] == ["3", f"{META}:", "rejected", "(100/2804009)"]
    assert "what to do: report value and currency with every Purchase" in first
    assert newest.hex[:8] in second
    groups = hands.json("dead-letters", "--since", "30d")
    assert [(g["count"], g["lane"], g["state"]) for g in groups] == [(4, META, "rejected"), (1, HOOK, "dead")]
    assert groups[1]["example"] == str(newest)


# ---------------------------------------------------------------- retry


def test_retry_makes_what_failed_due_and_a_relay_gets_it_with_its_first_attempt(hands: Hands) -> None:
    event_id = hands.put(**FAILED, attempts=9, event_at=hands.now - HOUR)
    hands.put(state="dead", lane=HOOK, reason="older than 7 days")
    hands.put()
    assert "would be due once more: 2" in hands.outbox("retry", "--dry-run")
    assert hands.json("retry", "--dry-run") == DUE | {"due": 2, "dry_run": True}
    assert hands.states() == ["dead", "rejected", "sent"]
    assert "due once more: 1" in hands.outbox("retry", "--pixel", PIXEL)
    assert hands.states() == ["dead", "pending", "sent"]

    async def claim(engine: AsyncEngine) -> Any:
        now_ms = SystemClock().now_ms()
        return await SqlOutbox(engine).claim(META, 10, now_ms=now_ms, until_ms=now_ms + HOUR)

    [delivery] = hands.sql(claim)
    assert (delivery.conversion.id, delivery.attempts) == (event_id, 1)


def test_retry_takes_events_orders_states_and_reasons(hands: Hands) -> None:
    one = hands.put(**FAILED)
    hands.put(**FAILED, order_id="A-1")
    hands.put(state="dead", reason="older than 7 days")
    hands.put(**(FAILED | {"reason": "the pixel is gone"}))
    assert "due once more: 2" in hands.outbox("retry", one.hex[:8], "A-1")
    assert "due once more: 1" in hands.outbox("retry", "--state", "dead")
    assert "due once more: 0" in hands.outbox("retry", "--reason", "token", code=EXIT_FAILED)
    assert "due once more: 1" in hands.outbox("retry", "--reason", "PIXEL")
    assert "due once more: 0" in hands.outbox("retry", code=EXIT_FAILED)
    assert hands.states() == ["pending"] * 4


def test_retry_leaves_what_no_destination_takes_any_more_and_says_how_many(hands: Hands) -> None:
    old = hands.put(**FAILED, event_at=hands.now - 7 * DAY - HOUR)
    hands.put(**FAILED, event_at=hands.now - 7 * DAY + HOUR)
    said = hands.outbox("retry", "--since", "30d")
    assert "due once more: 1" in said
    assert "older than 7 days: 1" in said
    assert "older than 7 days: 1" in hands.outbox("retry", old.hex[:8], code=EXIT_FAILED)
    assert hands.states() == ["pending", "rejected"]


def test_retry_of_skipped_ones_goes_by_the_link_as_it_is_now_and_never_back_on_an_erasure(
    hands: Hands,
) -> None:
    moved = hands.put(lane=UNATTRIBUTED, state="skipped", reason="the link has no pixel")
    late = hands.put(state="skipped", reason="its click did not come")
    for reason in ("erased", "the visitor asked for no sharing (Sec-GPC)"):
        hands.put(lane=UNATTRIBUTED, state="skipped", reason=reason)
        hands.put(state="skipped", reason=reason)
    assert "due once more: 0" in hands.outbox("retry", code=EXIT_FAILED)
    assert "would be due once more: 2" in hands.outbox("retry", "--state", "skipped", "--dry-run")
    assert "due once more: 2" in hands.outbox("retry", "--state", "skipped")
    rows = hands.rows()
    assert rows[moved, META].state == rows[late, META].state == "pending"
    assert (moved, UNATTRIBUTED) not in rows
    assert hands.states() == ["pending"] * 2 + ["skipped"] * 4


def test_retry_of_skipped_ones_waits_for_the_link_to_have_a_pixel(hands: Hands) -> None:
    hands.put(lane=UNATTRIBUTED, state="skipped", reason="the link has no pixel")
    hands.execute(update(links).values(pixel_id=None))
    assert "due once more: 0" in hands.outbox("retry", "--state", "skipped", code=EXIT_FAILED)
    hands("link", "edit", "promo", "--pixel", PIXEL)
    assert "due once more: 1" in hands.outbox("retry", "--state", "skipped")


# ---------------------------------------------------------------- replay


def test_replay_sends_what_was_sent_once_more_under_the_same_id(hands: Hands) -> None:
    event_id = hands.put(sent_at=hands.now - HOUR, event_at=hands.now - HOUR)
    hands.put(sent_at=hands.now - HOUR, event_at=hands.now - 5 * HOUR)
    hands.put(sent_at=hands.now - HOUR, lane=HOOK)
    words = ("replay", "--pixel", PIXEL, "--since", "3h")
    assert "would be due once more: 1" in hands.outbox(*words, "--dry-run")
    assert hands.json(*words) == DUE | {"due": 1}
    assert hands.rows()[event_id, META].state == "pending"
    assert "due once more: 0" in hands.outbox(*words, code=EXIT_FAILED)
    assert "due once more: 1" in hands.outbox("replay", "--pixel", PIXEL, "--since", "6h", "--until", "4h")


def test_replay_leaves_what_meta_would_count_twice_unless_it_is_forced(hands: Hands) -> None:
    hands.put(sent_at=hands.now - 48 * HOUR, event_at=hands.now - 50 * HOUR)
    hands.put(sent_at=hands.now - HOUR, event_at=hands.now - 50 * HOUR)
    hands.put(sent_at=hands.now - HOUR, event_at=hands.now - 8 * DAY)
    words = ("replay", "--pixel", PIXEL, "--since", "9d")
    told = hands.json(*words, "--dry-run")
    assert told == {"due": 1, "too_old": 1, "sent_too_long_ago": 1, "dry_run": True}
    said = hands.outbox(*words)
    assert "due once more: 1" in said
    assert "sent more than 47 hours ago: 1" in said
    assert "older than 7 days: 1" in said
    said = hands.outbox(*words, "--force")
    assert "due once more: 1" in said
    assert "47 hours" not in said
    assert hands.states() == ["pending", "pending", "sent"]


def test_nothing_of_an_erased_person_is_replayed(hands: Hands) -> None:
    click = bare_click(id=new_id(hands.now), link_id=1)
    hands.put(click_id=click.id, sent_at=hands.now)
    values = {"id": click.id, "link_id": 0, "node": 0, "ad_key": b"", "erased_at": hands.now}
    hands.execute(insert(clicks), values)
    hands.outbox("replay", "--pixel", PIXEL, "--since", "3h", "--force", code=EXIT_FAILED)
    assert hands.states() == ["sent"]


# ---------------------------------------------------------------- reconcile


def test_reconcile_writes_what_clicks_and_starts_owe_and_the_outbox_lacks(hands: Hands) -> None:
    """A look at nothing missing; rows deleted by hand; a dry run that exits 1; the repair; and nothing missing again."""
    hands.execute(update(links).values(events_off=""))
    begun, seen = (bare_click(id=new_id(hands.now - n), link_id=1) for n in (1000, 2000))

    async def settle(engine: AsyncEngine) -> None:
        await SqlLedger(engine, person_key).settle([begun, seen], [start_of(begun)], [])

    hands.sql(settle)
    owed = set(hands.rows())
    assert {row.event for row in hands.rows().values()} == {PAGE_VIEW, VIEW_CONTENT}
    assert "nothing is missing" in hands.outbox("reconcile")
    hands.execute(delete(outbox))
    said = hands.outbox("reconcile", "--dry-run", code=EXIT_FAILED)
    assert "clicks that lack a conversion: 2" in said
    assert str(seen.id) in said
    assert hands.rows() == {}
    assert hands.json("reconcile", "--until", "1m")["missing"] == 0, "they are younger"
    done = hands.json("reconcile")
    assert (done["missing"], done["repaired"]) == (2, 2)
    assert done["examples"] == [str(seen.id), str(begun.id)]
    assert set(hands.rows()) == owed
    assert "nothing is missing" in hands.outbox("reconcile", "--dry-run")


def test_reconcile_looks_at_all_clicks_of_its_time_in_steps(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.outbox_owed.LOOK", 2)
    batch = [bare_click(id=new_id(hands.now - n), link_id=1) for n in range(1, 6)]

    async def settle(engine: AsyncEngine) -> None:
        await SqlLedger(engine, person_key).settle(batch, [start_of(click) for click in batch], [])

    hands.sql(settle)
    hands.execute(delete(outbox))
    done = hands.json("reconcile")
    assert (done["missing"], done["repaired"], len(done["examples"])) == (5, 5, 5)
