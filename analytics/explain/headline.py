"""The verdict: of all that is known, the one sentence that answers the question, and what to do about it."""

from collections.abc import Sequence
from typing import NamedTuple

from analytics.explain.explanation import Verdict
from analytics.explain.facts import Facts, OfOrder, OfPerson, OfToken
from analytics.explain.of_click import asked_in_vain
from analytics.explain.of_conversion import (
    OWN,
    Event,
    events_of,
    held,
    main_row,
    overdue_ms,
    what_to_do,
    where,
    why,
)
from analytics.explain.of_person import waiting_starts
from analytics.explain.words import Words
from domain.conversions import PURCHASE, UNATTRIBUTED, Conversion
from domain.ids import uuid7_ms
from domain.trace import TracedDelivery


class Headline(NamedTuple):
    """The sentence, how it stands, and what to do."""

    text: str
    verdict: Verdict
    advice: str | None = None


def headline(facts: Facts, words: Words) -> Headline:
    """Of a token that is refused, of what was reported, or of how far the way was gone."""
    if facts.refused is not None:
        return _refused(facts, words)
    if isinstance(facts.asked, OfToken) and any(click.erased_at_ms is not None for click in facts.clicks):
        return Headline(words.say("head.erased"), "not")
    sales = [event for event in events_of(facts.deliveries) if main_row(event).event not in OWN]
    waiting = [one for one in facts.waiting if isinstance(one, Conversion)]
    if sales or waiting:
        return _of_sales(facts, sales, words) if sales else _spooled(facts, waiting[-1], words)
    match facts.asked:
        case OfOrder(order_id=order_id):
            return _no_order(facts, order_id, words)
        case OfPerson():
            return _of_person(facts, facts.asked, words)
        case _:
            return _of_click(facts, words)


def _refused(facts: Facts, words: Words) -> Headline:
    fault = facts.refused
    assert fault is not None  # noqa: S101  asked before
    values = {}
    if fault.kind == "expired":
        values = {"time": words.time(fault.at_ms or 0), "days": facts.rules.attribution_days}
    return Headline(words.say(f"token.{fault.kind}", **values), "wrong", words.say("advice.token"))


# ---------------------------------------------------------------- of what was reported


def _of_sales(facts: Facts, sales: Sequence[Event], words: Words) -> Headline:
    """Of the newest that has not arrived; of the newest, where all have."""
    rows = [main_row(event) for event in sales]
    missing = [row for row in rows if row.state != "sent"]
    found = _of_row(facts, (missing or rows)[-1], words)
    found = found._replace(text=_ended_once(found.text))
    if len(rows) == 1:
        return found
    return found._replace(text=f"{found.text} {words.say('head.more', count=len(rows) - 1)}")


def _ended_once(text: str) -> str:
    """Words of others that end the sentence ("Is trilha work running?") are not ended again."""
    return text[:-1] if text.endswith(("?.", "!.", "..")) else text


def _of_row(facts: Facts, row: TracedDelivery, words: Words) -> Headline:
    what = named(row.event, row.order_id, words)
    if row.state == "sent":
        at_ms = row.sent_at_ms or row.at_ms
        text = words.say(
            "head.sent",
            what=what,
            where=where(row.lane, words),
            time=words.time(at_ms),
            span=words.span(at_ms - row.at_ms),
        )
        return Headline(text, "done")
    advice = what_to_do(facts, row, words)
    if row.state == "pending":
        return _pending(facts, row, what, advice, words)
    if row.state == "rejected" and row.lane != UNATTRIBUTED:
        text = words.say("head.refused", what=what, where=where(row.lane, words), why=why(row, words))
        return Headline(text, "wrong", advice)
    key = "head.dead" if row.state == "dead" else "head.gate"
    return Headline(
        words.say(key, what=what, why=why(row, words)), "not" if row.state == "skipped" else "wrong", advice
    )


def _pending(facts: Facts, row: TracedDelivery, what: str, advice: str, words: Words) -> Headline:
    if lane := held(facts, row):
        text = words.say(
            "head.held",
            what=what,
            where=where(row.lane, words),
            time=words.time(lane.held_at_ms or facts.now_ms),
            why=lane.hold_reason or "-",
        )
        return Headline(text, "wrong", advice)
    if (late := overdue_ms(facts, row)) is not None:
        return Headline(words.say("head.late", what=what, span=words.span(late)), "wrong", advice)
    because = why(row, words) if row.reason or row.code else words.say("head.first")
    return Headline(words.say("head.pending", what=what, why=because), "waiting", advice)


def named(event: str, order_id: str | None, words: Words) -> str:
    """`The sale A-17`."""
    if order_id is None:
        return words.say("event.plain", event=event)
    if event == PURCHASE:
        return words.say("sale", order=order_id)
    return words.say("event", event=event, order=order_id)


def _spooled(facts: Facts, sale: Conversion, words: Words) -> Headline:
    span = words.span(facts.now_ms - sale.at_ms)
    text = words.say("head.spooled", what=named(sale.event, sale.order_id, words), span=span)
    return Headline(text, "waiting", words.say("advice.spooled"))


# ---------------------------------------------------------------- of what was not


def _unknown(facts: Facts, words: Words) -> Headline:
    stores = asked_in_vain(facts.clicks[0]) if facts.clicks else ("SQL" if not facts.sql else "spool")
    return Headline(words.say("head.unknown", stores=stores), "waiting", words.say("advice.unknown"))


def _no_order(facts: Facts, order_id: str, words: Words) -> Headline:
    if not (facts.sql and facts.waiting_read):
        return _unknown(facts, words)
    return Headline(words.say("head.no_order", order=order_id), "not", words.say("advice.no_order"))


def _of_person(facts: Facts, asked: OfPerson, words: Words) -> Headline:
    if waiting := waiting_starts(facts):
        return _start_spooled(facts, waiting[-1].at_ms, words)
    if not facts.starts and not facts.clicks and not facts.people:
        if not (facts.sql and facts.waiting_read):
            return _unknown(facts, words)
        if facts.erased_at_ms is not None:
            return Headline(words.say("head.erased"), "not")
        bot = words.say("head.in_bot", bot=asked.bot) if asked.bot else ""
        return Headline(words.say("head.nobody", bot=bot), "not", words.say("advice.nobody"))
    if facts.clicks:
        return Headline(words.say("head.person_quiet"), "not", words.say("advice.no_conversion"))
    kind = "taken" if any(start.kind == "taken" for start in facts.starts) else "direct"
    return Headline(words.say(f"head.{kind}"), "not", words.say(f"advice.{kind}"))


def _of_click(facts: Facts, words: Words) -> Headline:
    found = facts.clicks[0]
    if waiting := waiting_starts(facts, found.id):
        return _start_spooled(facts, waiting[-1].at_ms, words)
    if found.row is not None and found.row.started_at_ms is not None:
        span = words.span(found.row.started_at_ms - uuid7_ms(found.id))
        text = words.say("head.no_conversion", span=span)
        return Headline(text, "not", words.say("advice.no_conversion"))
    if not found.certain or not facts.sql:
        return _unknown(facts, words)
    if found.click is None:
        return Headline(words.say("head.no_click"), "not", words.say("advice.no_start"))
    return Headline(words.say("head.no_start"), "not", words.say("advice.no_start"))


def _start_spooled(facts: Facts, at_ms: int, words: Words) -> Headline:
    text = words.say("head.start_spooled", span=words.span(facts.now_ms - at_ms))
    return Headline(text, "waiting", words.say("advice.spooled"))
