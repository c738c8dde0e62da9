"""Steps of people: who pressed START, with what, and how bots know them."""

from collections.abc import Iterator
from uuid import UUID

from analytics.explain.explanation import Step, Verdict
from analytics.explain.facts import ClickFacts, Facts
from analytics.explain.of_click import asked_in_vain
from analytics.explain.words import Words
from domain.attribution import Owner, Start
from domain.people import BotUser, ClickTouch
from domain.trace import TracedStart

_VERDICTS: dict[str, Verdict] = {"attributed": "done", "taken": "not", "direct": "not"}


def bot_name(facts: Facts, bot_id: int | None) -> str:
    """A bot's username, or its number."""
    known = facts.bot(bot_id)
    return known.bot.username if known else str(bot_id)


def start_steps(facts: Facts, found: ClickFacts, words: Words) -> Iterator[Step]:
    """Everybody who started with the click: the owner first, then those for whom it was taken; or why nobody has."""
    owner = found.row.owner if found.row else None
    if owner is not None:
        yield _owner(facts, found, owner, words)
        yield from (touch_step(facts, user, words) for user in facts.people if user.owner == owner)
    for start in reversed(facts.starts):
        if start.click_id == found.id and start.owner != owner:
            yield start_step(facts, start, words)
    waiting = waiting_starts(facts, found.id)
    yield from (waiting_step(facts, start, words) for start in waiting)
    if owner is None and not waiting and found.erased_at_ms is None:
        yield _none(facts, found, words)


def start_step(facts: Facts, start: TracedStart, words: Words) -> Step:
    """One START as it is noted."""
    detail = [words.say(f"start.{start.kind}")]
    if start.reply == "refused":
        detail.append(words.say("start.refused_reply"))
    return Step(
        kind=f"start.{start.kind}",
        title=_title(facts, start.owner, words),
        verdict=_VERDICTS[start.kind],
        at_ms=start.at_ms,
        detail=tuple(detail),
        advice=None if start.kind == "attributed" else words.say(f"advice.{start.kind}"),
    )


def touch_step(facts: Facts, user: BotUser, words: Words) -> Step:
    """By which clicks a person came, as one bot knows them."""
    touches = (("first", user.first_touch), ("last", user.last_touch))
    detail = [line for which, touch in touches if touch for line in [_touch(which, touch, words)]]
    if user.blocked and user.blocked_at_ms is not None:
        detail.append(words.say("touch.blocked", time=words.time(user.blocked_at_ms)))
    bot = bot_name(facts, user.owner.bot_id)
    return Step(
        kind="attribution",
        title=words.say("touch.title", telegram_id=user.owner.telegram_id, bot=bot),
        verdict="done" if user.last_touch else "not",
        detail=tuple(detail if user.first_touch else [words.say("touch.none"), *detail]),
    )


def waiting_step(facts: Facts, start: Start, words: Words) -> Step:
    """A START that SQL does not have yet."""
    span = words.span(facts.now_ms - start.at_ms)
    return Step(
        kind="start.deferred",
        title=words.say("start.waits", telegram_id=start.owner.telegram_id),
        verdict="waiting",
        at_ms=start.at_ms,
        detail=(words.say("start.waits.detail", span=span),),
        advice=words.say("advice.spooled"),
    )


def waiting_starts(facts: Facts, click_id: UUID | None = None) -> list[Start]:
    """Those that wait in a spool: of one click, or all."""
    starts = (one for one in facts.waiting if isinstance(one, Start))
    return [one for one in starts if click_id is None or (one.click and one.click.id == click_id)]


def bot_steps(facts: Facts, words: Words) -> Iterator[Step]:
    """Bots that are not well: nobody can press START in them."""
    for status in facts.bots.values():
        bot = status.bot
        if not bot.fit:
            health = words.say(f"bot.health.{bot.health}")
            since = status.health_at_ms
            title = (
                words.say("bot.since", bot=bot.username, health=health, time=words.time(since))
                if since is not None
                else words.say("bot.health", bot=bot.username, health=health)
            )
            advice = words.say("advice.bot", bot=bot.username, link="SLUG")
            yield Step(kind="bot", title=title, verdict="wrong", advice=advice)


def _owner(facts: Facts, found: ClickFacts, owner: Owner, words: Words) -> Step:
    noted = next((one for one in facts.starts if one.click_id == found.id and one.owner == owner), None)
    detail = [words.say("start.owner")]
    if noted is not None and noted.reply == "refused":
        detail.append(words.say("start.refused_reply"))
    return Step(
        kind="start",
        title=_title(facts, owner, words),
        verdict="done",
        at_ms=found.row.started_at_ms if found.row else None,
        detail=tuple(detail),
    )


def _none(facts: Facts, found: ClickFacts, words: Words) -> Step:
    if not facts.sql:
        detail = (words.say("store.unknown", stores=asked_in_vain(found)),)
        title, advice = words.say("start.cannot"), words.say("advice.unknown")
        return Step(kind="start", title=title, verdict="waiting", detail=detail, advice=advice)
    advice = words.say("advice.no_start")
    return Step(kind="start", title=words.say("start.none"), verdict="not", advice=advice)


def _title(facts: Facts, owner: Owner, words: Words) -> str:
    return words.say("start.title", telegram_id=owner.telegram_id, bot=bot_name(facts, owner.bot_id))


def _touch(which: str, touch: ClickTouch, words: Words) -> str:
    return words.say(f"touch.{which}", time=words.time(touch.click_timestamp_ms))
