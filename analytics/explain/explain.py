"""From facts to an explanation: pure. The same facts in the same language are the same words."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from analytics.explain.explanation import Explanation, Step, Story
from analytics.explain.facts import ClickFacts, Facts, OfOrder, OfPerson, OfToken
from analytics.explain.headline import headline
from analytics.explain.of_click import click_steps, reports_page_views
from analytics.explain.of_conversion import OWN, Event, event_steps, events_of, main_row, waiting_step
from analytics.explain.of_person import (
    bot_name,
    bot_steps,
    start_step,
    start_steps,
    touch_step,
    waiting_starts,
)
from analytics.explain.of_person import waiting_step as waiting_start_step
from analytics.explain.words import Words
from domain.conversions import CLICK_EVENT, Conversion
from domain.ids import uuid7_ms
from domain.trace import MOST, MOST_DELIVERIES

_FOLLOWS = {"start": ("click",), "conversion": ("start", "click"), "delivery": ("conversion",)}


def explain(facts: Facts, words: Words) -> Explanation:
    """What happened, what did not and why, and what to do."""
    first = headline(facts, words)
    return Explanation(
        asked_at_ms=facts.now_ms,
        language=words.language,
        timezone=facts.rules.zone.key,
        verdict=first.verdict,
        headline=first.text,
        advice=first.advice,
        known=_known(facts),
        certain=facts.sql and facts.waiting_read and all(click.certain for click in facts.clicks),
        stories=() if facts.refused else tuple(_timed(story) for story in _stories(facts, words)),
        notes=tuple(_notes(facts, words)),
    )


def _known(facts: Facts) -> bool:
    clicks = [one for one in facts.clicks if one.click or one.erased_at_ms or (one.row and one.row.owner)]
    return bool(
        clicks or facts.starts or facts.people or facts.deliveries or facts.waiting or facts.erased_at_ms
    )


def _stories(facts: Facts, words: Words) -> Iterator[Story]:
    match facts.asked:
        case OfToken():
            yield from (_of_click(facts, click, words) for click in facts.clicks)
        case OfPerson():
            yield from _of_person(facts, facts.asked, words)
        case OfOrder():
            yield from _of_order(facts, facts.asked, words)


def _of_click(facts: Facts, found: ClickFacts, words: Words) -> Story:
    steps = [*click_steps(facts, found, words), *start_steps(facts, found, words)]
    if facts.sql and found.erased_at_ms is None:
        events = events_of(row for row in facts.deliveries if row.click_id in (found.id, None))
        steps += _page_view_off(found, events, words)
        steps += _conversions(facts, events, words)
        if found.row and found.row.owner and not any(main_row(event).event not in OWN for event in events):
            steps += _no_conversion(facts, words)
    steps += _waiting(facts, words)
    return Story(title=words.say("story.click", time=words.time(uuid7_ms(found.id))), steps=tuple(steps))


def _of_person(facts: Facts, asked: OfPerson, words: Words) -> Iterator[Story]:
    steps: list[Step] = []
    if facts.erased_at_ms is not None:
        steps.append(_erased(facts.erased_at_ms, words))
    steps += [touch_step(facts, user, words) for user in facts.people]
    steps += [start_step(facts, start, words) for start in reversed(facts.starts)]
    steps += [waiting_start_step(facts, start, words) for start in waiting_starts(facts)]
    steps += bot_steps(facts, words)
    steps += _waiting(facts, words)
    yield Story(title=words.say("story.person", telegram_id=asked.telegram_id), steps=tuple(steps))
    here = {click.id for click in facts.clicks}
    for click in facts.clicks:
        events = events_of(row for row in facts.deliveries if row.click_id == click.id)
        told = [*click_steps(facts, click, words), *_conversions(facts, events, words)]
        title = words.say("story.click", time=words.time(uuid7_ms(click.id)))
        yield Story(title=title, steps=tuple(told))
    if loose := events_of(row for row in facts.deliveries if row.click_id not in here):
        yield Story(title=words.say("story.loose"), steps=tuple(_conversions(facts, loose, words)))


def _of_order(facts: Facts, asked: OfOrder, words: Words) -> Iterator[Story]:
    """One story for each event: bots have order ids of their own, so there may be several."""
    for event in events_of(facts.deliveries):
        row = main_row(event)
        found = facts.click(row.click_id)
        steps: list[Step] = []
        if found is not None:
            steps += [*click_steps(facts, found, words), *start_steps(facts, found, words)]
        else:
            steps += [
                touch_step(facts, user, words)
                for user in facts.people
                if user.owner.telegram_id == row.telegram_id and user.owner.bot_id == row.bot_id
            ]
        bot_id = row.bot_id
        if bot_id is None and found is not None and found.row is not None and found.row.owner is not None:
            bot_id = found.row.owner.bot_id
        title = (
            words.say("story.order.plain", order=asked.order_id)
            if bot_id is None
            else words.say("story.order", order=asked.order_id, bot=bot_name(facts, bot_id))
        )
        yield Story(title=title, steps=(*steps, *event_steps(facts, event, words)))
    if waiting := tuple(_waiting(facts, words)):
        yield Story(title=words.say("story.order.plain", order=asked.order_id), steps=waiting)


def _conversions(facts: Facts, events: Iterable[Event], words: Words) -> Iterator[Step]:
    for event in events:
        yield from event_steps(facts, event, words)


def _waiting(facts: Facts, words: Words) -> Iterator[Step]:
    return (waiting_step(facts, one, words) for one in facts.waiting if isinstance(one, Conversion))


def _page_view_off(found: ClickFacts, events: Sequence[Event], words: Words) -> Iterator[Step]:
    """Off as such it has no row, for most links have it off: so it is said here."""
    made = any(main_row(event).event == CLICK_EVENT for event in events)
    if found.link is not None and not made and not reports_page_views(found.link):
        yield Step(
            kind="conversion.off",
            title=words.say("sale.not_owed", event=CLICK_EVENT),
            verdict="not",
            detail=(words.say("sale.page_view_off"),),
        )


def _no_conversion(facts: Facts, words: Words) -> Iterator[Step]:
    if not any(isinstance(one, Conversion) for one in facts.waiting):
        advice = words.say("advice.no_conversion")
        yield Step(kind="conversion.none", title=words.say("sale.none"), verdict="not", advice=advice)


def _erased(at_ms: int, words: Words) -> Step:
    detail = (words.say("person.erased.detail"),)
    return Step(kind="erased", title=words.say("person.erased"), verdict="not", at_ms=at_ms, detail=detail)


def _timed(story: Story) -> Story:
    """With how long each step came after the one that it follows from."""
    steps, seen = list[Step](), dict[str, int]()
    for step in story.steps:
        of = step.kind.partition(".")[0]
        if step.at_ms is None:
            steps.append(step)
            continue
        since = next((seen[kind] for kind in _FOLLOWS.get(of, ()) if kind in seen), None)
        later = since is not None and step.at_ms >= since
        steps.append(replace(step, after_ms=step.at_ms - since) if later and since is not None else step)
        seen[of] = step.at_ms
    return replace(story, steps=tuple(steps))


def _notes(facts: Facts, words: Words) -> Iterator[str]:
    if not facts.sql:
        yield words.say("note.sql")
    if not facts.waiting_read:
        yield words.say("note.spool")
    for name in sorted(facts.cut):
        most = MOST_DELIVERIES if name == "deliveries" else MOST
        yield words.say(f"note.cut.{name}", most=most)
    yield words.say("note.zone", zone=facts.rules.zone.key)
