"""What is told of each thing that happened or did not: the pure core, over facts made here."""

from __future__ import annotations

import re
import string
from dataclasses import replace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from analytics.explain.explain import explain
from analytics.explain.explanation import Explanation, Step, Verdict, explanation_json
from analytics.explain.facts import ClickFacts, Facts, OfOrder, OfPerson, OfToken, Rules
from analytics.explain.gates import GATES, gate_of
from analytics.explain.texts import TEXTS
from analytics.explain.words import Words, language_of
from domain.accounts import BotStatus
from domain.advice import sentences
from domain.advice_pt import PORTUGUESE
from domain.attribution import Owner, Start
from domain.click import Ad
from domain.conversions import (
    LEAD,
    PURCHASE,
    UNATTRIBUTED,
    VIEW_CONTENT,
    Conversion,
    LaneStatus,
    Money,
    meta_lane,
    webhook_lane,
)
from domain.enrichment import Agent, Enrichment, Geo, Reason, Score, Scores, Traffic
from domain.errors import ConfigError
from domain.ids import named_uuid
from domain.links import Bot, Link, Member
from domain.outcomes import Durability, LedgerRow
from domain.people import BotUser, ClickTouch
from domain.trace import TracedDelivery, TracedStart
from privacy.token import TokenFault
from tests.making import NOW, bare_click, new_id, ref

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
META, HOOK = meta_lane("123456789"), webhook_lane("crm")
ANA, BIA = Owner(bot_id=1, telegram_id=77), Owner(bot_id=1, telegram_id=78)
BOT = Bot(id=1, username="shop_bot", health="ok")
LINK = Link(id=1, slug="promo", name="", pool=(Member(bot=BOT),), pixel="123456789")
ID = new_id(NOW - 10 * MINUTE)
RULES = Rules(zone=ZoneInfo("America/Sao_Paulo"))
ENRICHED = Enrichment(
    geo=Geo("BR", "SP", "Sao Paulo"),
    agent=Agent(device="phone", os="Android", app="Instagram"),
    traffic=Traffic("in_app", ("agent:instagram",)),
    scores=Scores(bot=Score(30, (Reason("fast_start", 30, "started 1.5 s after the click"),))),
)
PARAMS = {"utm_source": "fb", "utm_campaign": "Teste|1", "utm_term": "x", "fbp_test": "1"}
CLICK = bare_click(id=ID, params=PARAMS, fbclid_key=b"f" * 16, sealed=b"s" * 40, referer_host="l.fb.com")


def click(**changes: Any) -> ClickFacts:
    """A click in SQL that Ana owns."""
    row = LedgerRow(
        click=CLICK,
        owner=ANA,
        started_at_ms=NOW - 9 * MINUTE,
        link_id=1,
        ad_key=b"",
        spooled=True,
        enrichment=ENRICHED,
    )
    known = ClickFacts(
        id=ID,
        link_id=1,
        link=LINK,
        click=CLICK,
        ad=None,
        row=row,
        original="kept",
        durability=Durability.SYNCED,
        visible=True,
    )
    return replace(known, **changes)


def unowned(**changes: Any) -> ClickFacts:
    found = click()
    assert found.row is not None
    return replace(found, row=replace(found.row, owner=None, started_at_ms=None), **changes)


def sale(**changes: Any) -> TracedDelivery:
    """A sale of Ana's that Meta has, 2 s after it happened."""
    sent = TracedDelivery(
        event_id=named_uuid("test", "A-17"),
        lane=META,
        event=PURCHASE,
        at_ms=NOW - 5 * MINUTE,
        state="sent",
        reason=None,
        code=None,
        trace="A1b2",
        attempts=1,
        next_at_ms=NOW - 5 * MINUTE,
        sent_at_ms=NOW - 5 * MINUTE + 2 * SECOND,
        matched=("em", "fbc"),
        click_id=ID,
        bot_id=1,
        telegram_id=77,
        order_id="A-17",
        money=Money(micros=97_500_000, currency="BRL"),
    )
    return replace(sent, **changes)


def unsent(state: str, reason: str | None = None, **changes: Any) -> TracedDelivery:
    given: dict[str, Any] = {
        "state": state,
        "reason": reason,
        "sent_at_ms": None,
        "trace": None,
        "matched": (),
    }
    return sale(**(given | changes))


def facts(*deliveries: TracedDelivery, asked: Any = None, **changes: Any) -> Facts:
    """Of a click that Ana owns and what was reported of it."""
    status = BotStatus(
        bot=BOT,
        telegram_id=None,
        has_token=False,
        worker=None,
        worker_until_ms=None,
        heard_at_ms=None,
        checked_at_ms=None,
        health_at_ms=None,
    )
    given: dict[str, Any] = {"asked": asked or OfToken(), "now_ms": NOW, "rules": RULES, "clicks": (click(),)}
    return Facts(**(given | {"deliveries": deliveries, "bots": {1: status}} | changes))


def told(found: Facts, language: Any = "en") -> Explanation:
    return explain(found, Words(language, found.rules.zone))


def step(found: Explanation, kind: str) -> Step:
    (one,) = [step for step in found.steps() if step.kind == kind]
    return one


def text_of(found: Explanation) -> str:
    lines = [found.headline, found.advice or "", *found.notes]
    for one in found.steps():
        lines += [one.title, *one.detail, one.advice or ""]
    return "\n".join(lines)


# ---------------------------------------------------------------- what happened


def test_a_sale_that_has_arrived_is_told_in_one_sentence_with_place_time_and_delay() -> None:
    found = told(facts(sale()))
    assert found.headline == (
        "The sale A-17 was sent to Meta pixel 123456789 at 2027-01-15 04:55:02, 2 s after it happened."
    )
    assert (found.verdict, found.advice, found.known, found.certain) == ("done", None, True, True)
    assert "times are of America/Sao_Paulo" in found.notes


def test_the_whole_way_is_told_in_its_order_with_the_time_each_step_took() -> None:
    found = told(facts(sale(), people=(person(),)))
    kinds = [one.kind for one in found.steps()]
    assert kinds == [
        *("click", "link", "store", "class", "start", "attribution"),
        *("conversion.off", "conversion", "delivery.sent"),
    ]
    afters = {one.kind: one.after_ms for one in found.steps() if one.after_ms is not None}
    assert afters == {"start": MINUTE, "conversion": 4 * MINUTE, "delivery.sent": 2 * SECOND}


def test_a_click_says_its_ad_with_every_utm_its_place_agent_and_class_with_reasons() -> None:
    found = told(facts(sale()))
    detail = step(found, "click").detail
    assert "ad: utm_source fb · utm_campaign Teste|1 · utm_term x" in detail
    assert {"fbclid: yes", "from l.fb.com", "place: Sao Paulo, SP, BR", "with Instagram"} <= set(detail)
    assert step(found, "class").title == "Class: in_app"
    assert "evidence: agent:instagram" in step(found, "class").detail
    assert "bot score 30: fast_start 30 (started 1.5 s after the click)" in step(found, "class").detail
    assert "durability: synced; in Redis for a quick look-up: yes" in step(found, "store").detail


def test_a_delivery_says_what_was_matched_how_often_it_was_tried_and_metas_name_of_the_call() -> None:
    detail = step(told(facts(sale(code=None))), "delivery.sent").detail
    assert detail == ("attempts: 1", "matched by: em fbc", "trace A1b2")
    assert "value 97.50 BRL" in step(told(facts(sale())), "conversion").detail


def test_webhooks_are_ways_of_the_same_event_and_do_not_multiply_it() -> None:
    found = told(facts(sale(), sale(lane=HOOK, state="pending", sent_at_ms=None, next_at_ms=NOW + MINUTE)))
    assert [one.kind for one in found.steps() if one.kind == "conversion"] == ["conversion"]
    assert step(found, "delivery.pending").title == "Waits for webhook crm"
    assert found.verdict == "done"
    assert "more" not in found.headline


def test_of_several_sales_the_newest_that_is_missing_is_the_headline() -> None:
    other = named_uuid("test", "A-16")
    older = unsent("rejected", "no such field", code="100", event_id=other, order_id="A-16", at_ms=NOW - HOUR)
    found = told(facts(sale(), older))
    assert found.headline.startswith("The sale A-16 was refused by Meta pixel 123456789: no such field.")
    assert found.headline.endswith("And 1 more: see below.")
    assert found.verdict == "wrong"


# ---------------------------------------------------------------- what was not sent


@pytest.mark.parametrize(
    ("reason", "end"), [("no such field", "no such field."), ("is it on?", "is it on?"), ("Gone.", "Gone.")]
)
def test_words_of_others_that_end_a_sentence_are_not_ended_again(reason: str, end: str) -> None:
    assert told(facts(unsent("rejected", reason, code="100"))).headline.endswith(f": {end}")


@pytest.mark.parametrize(("reason", "key"), GATES.items())
def test_each_gate_has_a_sentence_in_the_headline_and_the_outboxs_own_reason_beside_it(
    reason: str, key: str
) -> None:
    for state in ("skipped", "pending"):
        found = told(facts(unsent(state, reason + "…", next_at_ms=NOW + MINUTE)))
        assert TEXTS[key][0] in found.headline
        detail = step(found, f"delivery.{state}").detail
        assert f"because {TEXTS[key][0]}" in detail
        assert f"reason: {reason}…" in detail
        assert found.advice
        assert TEXTS[key][1] in told(facts(unsent(state, reason, next_at_ms=NOW + MINUTE)), "pt").headline


@pytest.mark.parametrize(
    ("row", "verdict", "head", "advice"),
    [
        (
            unsent("skipped", "the link has no pixel", lane=UNATTRIBUTED),
            "not",
            "The sale A-17 was not sent: the link of the click has no pixel.",
            "trilha link edit promo --pixel ID",
        ),
        (
            unsent("skipped", "the link does not report Purchase", lane=UNATTRIBUTED),
            "not",
            "The sale A-17 was not sent: the link does not report this event.",
            "trilha link events promo --on Purchase",
        ),
        (
            unsent("rejected", "Invalid parameter", code="100/2804009"),
            "wrong",
            "The sale A-17 was refused by Meta pixel 123456789: Invalid parameter.",
            "value and currency",
        ),
        (
            unsent("dead", "older than 7 days: http 502", code="http 502"),
            "wrong",
            "The sale A-17 was not sent in time: it is older than 7 days, and Meta takes nothing older.",
            "trilha doctor",
        ),
        (
            unsent("pending", "http 502 without a reason", code="http 502", next_at_ms=NOW + MINUTE),
            "waiting",
            "The sale A-17 is not sent yet: http 502 without a reason.",
            "by itself",
        ),
        (
            unsent("pending", next_at_ms=NOW),
            "waiting",
            "The sale A-17 is not sent yet: it is due.",
            "by itself",
        ),
        (
            unsent("pending", next_at_ms=NOW - 3 * HOUR),
            "wrong",
            "The sale A-17 is not sent yet: it is due since 3 h, and nothing has sent it. Is trilha work running?",
            "trilha work",
        ),
        (
            unsent("skipped", "no click of this person is known", lane=UNATTRIBUTED, event=LEAD),
            "not",
            "The Lead A-17 was not sent: no click of this person is known: they came by no link.",
            "no link of yours",
        ),
    ],
)
def test_what_was_not_sent_says_why_and_what_to_do(
    row: TracedDelivery, verdict: Verdict, head: str, advice: str
) -> None:
    found = told(facts(row))
    assert (found.headline, found.verdict) == (head, verdict)
    assert advice in (found.advice or "")
    assert step(found, f"delivery.{row.state}").verdict == verdict


def test_a_held_lane_says_since_when_and_what_the_operator_has_to_mend() -> None:
    lane = LaneStatus(lane=META, held_at_ms=NOW - HOUR, hold_reason="Error validating access token")
    found = told(facts(unsent("pending", next_at_ms=NOW - 3 * HOUR), lanes={META: lane}))
    assert found.headline == (
        "The sale A-17 is not sent: Meta pixel 123456789 is held since 2027-01-15 04:00:00: "
        "Error validating access token."
    )
    assert found.verdict == "wrong"
    assert "trilha pixel token 123456789" in (found.advice or "")
    assert step(found, "delivery.pending").title == "Held: Meta pixel 123456789"
    assert "trilha pixel token 123456789" in (
        told(facts(unsent("pending"), lanes={META: lane}), "pt").advice or ""
    )


def test_the_warning_of_a_destination_stands_with_its_deliveries() -> None:
    lane = LaneStatus(lane=META, warning="v19.0 ends soon")
    assert (
        "the destination warns: v19.0 ends soon"
        in step(told(facts(sale(), lanes={META: lane})), "delivery.sent").detail
    )


def test_what_looks_for_its_click_says_until_when() -> None:
    row = unsent("pending", "no click of this person is known yet", lane=UNATTRIBUTED, click_id=None)
    found = told(facts(replace(row, next_at_ms=NOW + MINUTE)))
    one = step(found, "delivery.pending")
    assert one.title == "Waits: its person's click is looked for"
    assert "looked for until 2027-01-16 04:55:00" in one.detail


def test_what_waits_in_a_spool_is_told_as_kept_not_as_missing() -> None:
    waiting = Conversion(id=UUID(int=5), event=PURCHASE, at_ms=NOW - 3 * MINUTE, owner=ANA, order_id="B-1")
    found = told(facts(waiting=(waiting,)))
    assert found.headline.startswith("The sale B-1 is kept in a spool since 3 min")
    assert step(found, "conversion.deferred").verdict == found.verdict == "waiting"
    assert not [one for one in found.steps() if one.kind == "conversion.none"]


# ---------------------------------------------------------------- clicks without a sale


def test_a_start_without_a_sale_says_that_none_was_reported_and_what_reports_one() -> None:
    found = told(facts(sale(event=VIEW_CONTENT, order_id=None)))
    assert found.headline == ("The click led to a start 1 min later, and no conversion was reported since.")
    assert "POST /v1/conversions" in (found.advice or "")
    assert step(found, "conversion.none").verdict == "not"


def test_a_click_that_nobody_started_with_says_so() -> None:
    found = told(facts(clicks=(unowned(),)))
    assert found.headline.startswith("The click is known, but nobody has pressed START with it")
    assert step(found, "start").title == "No START yet"


def test_a_click_that_no_store_has_says_what_token_only_means() -> None:
    ad = Ad("fb", "Teste|1", "", "", "")
    found = told(facts(clicks=(replace(lost_click(), ad=ad),)))
    assert found.headline.startswith("No store has this click")
    assert "token_only" in step(found, "store").detail[0]
    assert "ad, by the token's ad key: source fb · campaign Teste|1" in step(found, "click").detail
    assert not found.known
    assert found.certain


def lost_click() -> ClickFacts:
    return click(click=None, row=None, original="none", durability=Durability.TOKEN_ONLY, visible=False)


def test_a_store_that_cannot_be_asked_is_never_told_as_no_click() -> None:
    blind = replace(
        lost_click(), certain=False, stores={"redis": "missing", "disk": "missing", "sql": "unknown"}
    )
    found = told(facts(clicks=(blind,), sql=False, bots={}))
    assert found.headline == ("It cannot be told now: sql cannot be asked. That is not the same as no click.")
    assert (found.known, found.certain, found.verdict) == (False, False, "waiting")
    assert step(found, "start").title == "Whether somebody has started cannot be asked"
    assert any(note.startswith("SQL cannot be asked") for note in found.notes)
    assert "No START" not in text_of(found)


def test_with_sql_down_what_redis_spool_and_token_say_is_told() -> None:
    seen = click(
        row=None, certain=False, stores={"disk": "found", "sql": "unknown"}, durability=Durability.WRITTEN
    )
    found = told(facts(clicks=(seen,), sql=False))
    assert "utm_source fb" in " ".join(step(found, "click").detail)
    assert step(found, "store").detail[0].startswith("in a spool on disk since 10 min")
    assert step(found, "store").verdict == "waiting"


def test_a_click_still_in_the_spool_says_for_how_long_it_waits() -> None:
    found = told(facts(clicks=(click(row=None, stores={"disk": "found", "sql": "missing"}),)))
    assert step(found, "store").detail[0] == "in a spool on disk since 10 min, waiting to be settled into SQL"


def test_a_start_in_the_spool_is_told_as_waiting() -> None:
    start = Start.with_token(ANA, ref(CLICK), at_ms=NOW - MINUTE, update_id=None)
    found = told(facts(clicks=(unowned(),), waiting=(start,)))
    assert found.headline.startswith("The start is kept in a spool since 1 min")
    assert step(found, "start.deferred").verdict == "waiting"


def test_everybody_else_who_started_with_the_token_is_told_as_taken() -> None:
    other = TracedStart(owner=BIA, at_ms=NOW - MINUTE, kind="taken", click_id=ID, reply="refused")
    found = told(facts(sale(), starts=(other,)))
    one = step(found, "start.taken")
    assert one.title == "START by 78 in @shop_bot"
    assert one.detail == (
        "taken: the click belongs to somebody else already",
        "Telegram has refused the answer to it for good",
    )


@pytest.mark.parametrize(
    ("link", "part", "advice"),
    [
        (replace(LINK, pixel=None), "the link has no pixel", "trilha link edit promo --pixel ID"),
        (replace(LINK, paused=True), "the link is paused", "trilha link pause promo --resume"),
        (
            replace(LINK, pool=(Member(bot=replace(BOT, health="banned")),)),
            "@shop_bot: banned by Telegram",
            "trilha bot-account show shop_bot",
        ),
    ],
)
def test_what_is_wrong_with_the_link_or_its_bot_is_told_with_the_command_that_mends_it(
    link: Link, part: str, advice: str
) -> None:
    one = step(told(facts(clicks=(unowned(link=link),))), "link")
    assert one.verdict == "wrong"
    assert part in "\n".join(one.detail)
    assert advice in (one.advice or "")


def test_a_link_that_the_catalog_has_no_more_is_named_by_its_number() -> None:
    found = told(facts(clicks=(unowned(link=None),)))
    assert "link number 1" in step(found, "click").title
    assert step(found, "link").verdict == "wrong"


@pytest.mark.parametrize("kind", ["crawler", "prefetch", "datacenter", "head"])
def test_a_class_that_is_no_persons_changes_the_accounting_only(kind: Any) -> None:
    found = unowned()
    assert found.row is not None
    added = ENRICHED._replace(traffic=Traffic(kind, ("agent:bot",), tentative=kind == "prefetch"))
    one = step(told(facts(clicks=(replace(found, row=replace(found.row, enrichment=added)),))), "class")
    assert one.verdict == "not"
    assert any("changes the accounting only" in line for line in one.detail)
    assert any("START makes it one" in line for line in one.detail) == (kind == "prefetch")


@pytest.mark.parametrize(
    ("rules", "part"),
    [
        (RULES, "which is honoured: nothing of it goes to Meta"),
        (replace(RULES, honour_gpc=False), "TRILHA_HONOUR_GPC is off"),
    ],
)
def test_sec_gpc_is_told_with_what_is_done_about_it(rules: Rules, part: str) -> None:
    shy = msgspec.structs.replace(CLICK, gpc=True)
    assert part in text_of(told(facts(clicks=(unowned(click=shy),), rules=rules)))


@pytest.mark.parametrize(("original", "part"), [("kept", "kept sealed"), ("gone", "shredded after 7 days")])
def test_whether_address_and_agent_are_still_there_is_told(original: Any, part: str) -> None:
    assert part in " ".join(step(told(facts(clicks=(click(original=original),))), "click").detail)


def test_an_erased_click_says_so_and_nothing_else() -> None:
    gone = click(click=None, row=None, erased_at_ms=NOW - DAY)
    found = told(facts(clicks=(gone,)))
    assert found.headline.startswith("What this was about is erased")
    assert [one.kind for one in found.steps()] == ["click"]
    assert found.known


@pytest.mark.parametrize("kind", ["malformed", "other_key", "forged", "expired"])
def test_a_refused_token_says_which_way_it_is_wrong_and_has_no_story(kind: Any) -> None:
    fault = TokenFault(kind=kind, at_ms=NOW - 40 * DAY if kind == "expired" else None)
    found = told(Facts(asked=OfToken(), now_ms=NOW, rules=RULES, refused=fault))
    assert found.headline == TEXTS[f"token.{kind}"][0].format(time="2026-12-06 05:00:00", days=28)
    assert (found.stories, found.verdict, found.known) == ((), "wrong", False)
    assert "no store was asked" in (found.advice or "")


# ---------------------------------------------------------------- people and orders


def person(**changes: Any) -> BotUser:
    touch = ClickTouch(
        started_at_ms=NOW - 9 * MINUTE,
        tracking_session_id=ID,
        click_timestamp_ms=NOW - 10 * MINUTE,
        link_id=1,
        ip_hash="00ff00ff",
        user_agent="Chrome 126",
    )
    known = BotUser(
        owner=ANA,
        first_started_at_ms=NOW - 9 * MINUTE,
        last_started_at_ms=NOW - 9 * MINUTE,
        first_touch=touch,
        last_touch=touch,
        blocked=False,
        blocked_at_ms=None,
    )
    return replace(known, **changes)


PERSON = OfPerson(telegram_id=77)


def test_a_person_is_told_by_starts_touches_clicks_and_sales() -> None:
    begun = TracedStart(owner=ANA, at_ms=NOW - 9 * MINUTE, kind="attributed", click_id=ID, reply="sent")
    found = told(facts(sale(), asked=PERSON, people=(person(),), starts=(begun,)))
    assert [story.title for story in found.stories] == ["Telegram id 77", "Click of 2027-01-15 04:50:00"]
    assert step(found, "attribution").detail == (
        "first touch: click of 2027-01-15 04:50:00",
        "last touch: click of 2027-01-15 04:50:00",
    )
    assert step(found, "start.attributed").verdict == "done"


def test_somebody_who_came_without_an_ad_is_direct_and_no_click_is_lost() -> None:
    begun = TracedStart(owner=ANA, at_ms=NOW, kind="direct", click_id=None, reply=None)
    user = person(first_touch=None, last_touch=None, blocked=True, blocked_at_ms=NOW)
    found = told(facts(asked=PERSON, clicks=(), starts=(begun,), people=(user,)))
    assert "no click is lost, there was none" in found.headline
    assert step(found, "start.direct").detail == ("direct: without an ad's link",)
    assert step(found, "attribution").detail[0] == "no start of theirs has won a click"
    assert "has blocked the bot" in text_of(found)


def test_somebody_whose_click_was_anothers_is_told_so() -> None:
    begun = TracedStart(owner=ANA, at_ms=NOW, kind="taken", click_id=ID, reply=None)
    assert "somebody else owns already" in told(facts(asked=PERSON, clicks=(), starts=(begun,))).headline


def test_nobody_known_is_told_with_the_bot_that_was_asked_for() -> None:
    asked = OfPerson(telegram_id=77, bot="shop_bot")
    found = told(facts(asked=asked, clicks=(), bots={}))
    assert found.headline == "No start of this Telegram id is known in @shop_bot."
    assert not found.known
    assert "worker" in (found.advice or "")


def test_an_erased_person_is_told_as_erased() -> None:
    found = told(facts(asked=PERSON, clicks=(), erased_at_ms=NOW - DAY))
    assert found.headline.startswith("What this was about is erased")
    assert step(found, "erased").at_ms == NOW - DAY


def test_a_banned_bot_of_a_person_is_told() -> None:
    found = facts(asked=PERSON)
    status = replace(found.bots[1], bot=replace(BOT, health="banned"), health_at_ms=NOW - HOUR)
    one = step(told(replace(found, bots={1: status})), "bot")
    assert one.title == "@shop_bot: banned by Telegram since 2027-01-15 04:00:00"


def test_what_is_left_out_is_said() -> None:
    found = told(facts(sale(), asked=PERSON, cut=frozenset({"clicks", "starts", "deliveries"})))
    assert "only the newest 20 clicks are shown" in found.notes
    assert "only the newest 20 starts are shown" in found.notes
    assert "only the newest 100 deliveries are shown" in found.notes


def test_an_order_that_nobody_reported_says_who_has_to() -> None:
    found = told(facts(asked=OfOrder(order_id="A-17"), clicks=(), bots={}))
    assert found.headline == "No conversion with the order id A-17 was reported."
    assert "check that the bot calls POST /v1/conversions" in (found.advice or "")
    assert (found.verdict, found.known, found.certain) == ("not", False, True)


@pytest.mark.parametrize("change", [{"sql": False}, {"waiting_read": False}])
def test_an_order_is_not_called_unreported_while_a_store_cannot_be_asked(change: dict[str, bool]) -> None:
    found = told(facts(asked=OfOrder(order_id="A-17"), clicks=(), **change))
    assert found.headline.startswith("It cannot be told now")
    assert not found.certain


def test_one_order_id_in_two_bots_is_two_stories() -> None:
    other = sale(event_id=UUID(int=9), bot_id=2, click_id=None, telegram_id=78)
    found = told(facts(sale(), other, asked=OfOrder(order_id="A-17")))
    assert {story.title for story in found.stories} == {"Order A-17 in @shop_bot", "Order A-17 in @2"}


# ---------------------------------------------------------------- words


def test_every_text_is_in_both_languages_with_the_same_names_in_it() -> None:
    for key, both in TEXTS.items():
        assert len(both) == 2, key
        names = [{part[1] for part in string.Formatter().parse(text) if part[1]} for text in both]
        assert names[0] == names[1], key
        assert all(both), key


def test_every_advice_is_in_portuguese_with_the_same_commands_in_it() -> None:
    assert PORTUGUESE.keys() == sentences()
    command = re.compile(r"trilha [a-z]+(?: [a-z-]+)?|--[a-z-]+|TRILHA_[A-Z_]+|\{[a-z]+\}")
    for english, portuguese in PORTUGUESE.items():
        words = {"trilha doctor", "trilha work", "trilha rescore"}
        assert sorted(_commands(command, english, words)) == sorted(_commands(command, portuguese, words))


def _commands(pattern: re.Pattern[str], text: str, alone: set[str]) -> list[str]:
    """The commands in a text; what follows a command of one word is not part of it."""
    found = pattern.findall(text)
    return [next((one for one in alone if command.startswith(one)), command) for command in found]


def test_all_of_it_is_told_in_portuguese_too() -> None:
    found = told(facts(sale()), "pt")
    assert found.headline == (
        "O envio da venda A-17 para o pixel 123456789 da Meta foi feito em 15/01/2027 04:55:02, "
        "2 s depois de acontecer."
    )
    assert "valor 97,50 BRL" in step(found, "conversion").detail
    assert [one.kind for one in found.steps()] == [one.kind for one in told(facts(sale())).steps()]


@pytest.mark.parametrize(
    ("given", "language"), [("en", "en"), ("pt", "pt"), ("pt-BR", "pt"), ("PT_br", "pt")]
)
def test_languages_are_taken_by_their_first_part(given: str, language: str) -> None:
    assert language_of(given) == language


@pytest.mark.parametrize("given", ["", "de", "ptolemaic"])
def test_other_languages_are_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="Give en or pt"):
        language_of(given)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (350, "350 ms"),
        (2000, "2 s"),
        (185_000, "3 min 5 s"),
        (3_600_000, "1 h"),
        (15_000_000, "4 h 10 min"),
        (2 * DAY + 3 * HOUR + 5, "2 d 3 h"),
        (DAY + 5000, "1 d"),
    ],
)
def test_durations_have_their_two_largest_units(ms: int, text: str) -> None:
    assert Words("en", RULES.zone).span(ms) == text


def test_a_reason_of_the_destination_is_no_gate() -> None:
    assert gate_of("Invalid parameter") is None
    assert gate_of(None) is None


def test_as_json_it_has_times_in_utc_and_nothing_of_the_original() -> None:
    shown = explanation_json(told(facts(sale(), people=(person(),))))
    first = shown["stories"][0]["steps"][0]
    assert first["at"] == "2027-01-15T07:50:00.000Z"
    assert first.keys() == {"at", "kind", "title", "verdict", "after_ms", "detail", "advice"}
    assert "00ff00ff" not in str(shown)
    assert "73737373" not in str(shown)
