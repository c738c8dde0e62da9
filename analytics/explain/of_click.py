"""Steps of a click: that it came, where it is kept, what it is, and where its link leads."""

from collections.abc import Iterable, Iterator

from analytics.explain.explanation import Step
from analytics.explain.facts import ClickFacts, Facts
from analytics.explain.words import Words
from domain.click import Ad, Click
from domain.conversions import CLICK_EVENT, PEOPLE
from domain.enrichment import Enrichment, Score
from domain.ids import uuid7_ms
from domain.links import Bot, Link
from domain.outcomes import Durability
from domain.people import agent_summary


def click_steps(facts: Facts, found: ClickFacts, words: Words) -> Iterator[Step]:
    """In the order of the way; the start and what follows come after."""
    yield _click(facts, found, words)
    if found.erased_at_ms is not None:
        return
    yield _link(found, words)
    yield _kept(facts, found, words)
    if found.click is not None:
        yield _class(found.row.enrichment if found.row else None, words)


def asked_in_vain(found: ClickFacts) -> str:
    """The stores that could not be asked, by name."""
    return ", ".join(name for name, said in found.stores.items() if said == "unknown") or "SQL"


def _click(facts: Facts, found: ClickFacts, words: Words) -> Step:
    name = found.link.slug if found.link else words.say("click.unknown_link", number=found.link_id)
    return Step(
        kind="click",
        title=words.say("click.title", link=name),
        verdict="not" if found.erased_at_ms is not None else "done",
        at_ms=uuid7_ms(found.id),
        detail=tuple(_click_detail(facts, found, words)),
    )


def _click_detail(facts: Facts, found: ClickFacts, words: Words) -> Iterator[str]:
    yield words.say("click.id", id=found.id)
    if found.erased_at_ms is not None:
        yield words.say("click.erased", time=words.time(found.erased_at_ms))
        return
    if found.click is None:
        yield words.say("click.by_token")
        yield from _ad_of_token(found.ad, words)
        return
    yield from _said(found.click, words)
    if found.row and found.row.enrichment:
        yield from _derived(found.row.enrichment, words)
    if found.click.gpc:
        yield words.say("click.gpc.honoured" if facts.rules.honour_gpc else "click.gpc.ignored")
    if found.original != "none":
        yield words.say(f"click.original.{found.original}", **_days(facts, found))


def _days(facts: Facts, found: ClickFacts) -> dict[str, int]:
    return {"days": facts.rules.sealed_days} if found.original == "gone" else {}


def _ad_of_token(ad: Ad | None, words: Words) -> Iterator[str]:
    if ad is not None and any(ad):
        shown = " · ".join(f"{name} {value}" for name, value in ad._asdict().items() if value)
        yield words.say("click.ad_from_token", ad=shown)


def _said(click: Click, words: Words) -> Iterator[str]:
    utm = [f"{name} {value}" for name, value in click.params.items() if name.startswith("utm_") and value]
    yield words.say("click.ad", ad=" · ".join(utm)) if utm else words.say("click.no_ad")
    yield words.say("click.fbclid", has=words.yes_no(holds=click.fbclid_key is not None))
    if click.referer_host:
        yield words.say("click.from", host=click.referer_host)


def _derived(added: Enrichment, words: Words) -> Iterator[str]:
    geo = added.geo
    if place := ", ".join(part for part in (geo.city, geo.region, geo.country) if part):
        yield words.say("click.place", place=place)
    if agent := added.agent.app or agent_summary(added.agent):
        yield words.say("click.agent", agent=agent)


# ---------------------------------------------------------------- where it leads


def _link(found: ClickFacts, words: Words) -> Step:
    link = found.link
    if link is None:
        name = words.say("click.unknown_link", number=found.link_id)
        return Step(
            kind="link",
            title=words.say("link.title", link=name),
            verdict="wrong",
            detail=(words.say("link.gone"),),
        )
    return Step(
        kind="link",
        title=words.say("link.title", link=link.slug),
        verdict="wrong" if _link_advice(link, words) else "done",
        detail=tuple(_link_detail(link, words)),
        advice=_link_advice(link, words),
    )


def _link_detail(link: Link, words: Words) -> Iterator[str]:
    yield words.say("link.pixel", pixel=link.pixel) if link.pixel else words.say("link.no_pixel")
    if link.paused:
        yield words.say("link.paused")
    yield words.say("link.pool", bots=", ".join(_health(member.bot, words) for member in link.pool) or "-")
    if link.events_off:
        yield words.say("link.off", events=", ".join(link.events_off))


def _health(bot: Bot, words: Words) -> str:
    return words.say("bot.health", bot=bot.username, health=words.say(f"bot.health.{bot.health}"))


def _link_advice(link: Link, words: Words) -> str | None:
    """The first thing that keeps people or sales from getting through."""
    if link.pixel is None:
        return words.say("advice.no_pixel", link=link.slug)
    if link.paused:
        return words.say("advice.paused", link=link.slug)
    unfit = [member.bot for member in link.pool if not member.bot.fit]
    if unfit:
        return words.say("advice.bot", bot=unfit[0].username, link=link.slug)
    return None


# ---------------------------------------------------------------- where it is kept


def _kept(facts: Facts, found: ClickFacts, words: Words) -> Step:
    title = words.say("store.title")
    promised = tuple(_promised(found, words))
    if found.row is not None and found.row.click is not None:
        return Step(kind="store", title=title, verdict="done", detail=(words.say("store.settled"), *promised))
    if found.click is not None:
        since = words.span(facts.now_ms - uuid7_ms(found.id))
        where = words.say("store.spooled", span=since)
        advice = words.say("advice.spooled")
        return Step(kind="store", title=title, verdict="waiting", detail=(where, *promised), advice=advice)
    if not found.certain:
        what = words.say("store.unknown", stores=asked_in_vain(found))
        advice = words.say("advice.unknown")
        return Step(kind="store", title=title, verdict="waiting", detail=(what,), advice=advice)
    if found.row is not None and found.row.owner is not None:
        detail = (words.say("store.start_only"), words.say("store.token_only"))
        return Step(kind="store", title=title, verdict="not", detail=detail)
    return Step(kind="store", title=title, verdict="not", detail=(words.say("store.token_only"),))


def _promised(found: ClickFacts, words: Words) -> Iterator[str]:
    if found.durability is not None and found.durability is not Durability.TOKEN_ONLY:
        yield words.say(
            "store.durability",
            durability=found.durability.value,
            visible=words.yes_no(holds=found.visible),
        )
    if found.stores and not found.certain:
        yield words.say("store.unknown", stores=asked_in_vain(found))


# ---------------------------------------------------------------- what it is


def _class(added: Enrichment | None, words: Words) -> Step:
    if added is None:
        return Step(kind="class", title=words.say("class.none"), verdict="waiting")
    return Step(
        kind="class",
        title=words.say("class.title", kind=added.traffic.kind),
        verdict="done" if added.traffic.kind in PEOPLE else "not",
        detail=tuple(_class_detail(added, words)),
    )


def _class_detail(added: Enrichment, words: Words) -> Iterator[str]:
    if added.traffic.evidence:
        yield words.say("class.evidence", evidence="; ".join(added.traffic.evidence))
    if added.traffic.kind not in PEOPLE:
        yield words.say("class.changes")
    if added.traffic.tentative:
        yield words.say("class.tentative")
    yield _score("bot", added.scores.bot, words)
    yield _score("fraud", added.scores.fraud, words)


def _score(name: str, score: Score, words: Words) -> str:
    reasons: Iterable[str] = (f"{one.signal} {one.weight} ({one.evidence})" for one in score.reasons)
    told = "; ".join(reasons) or words.say("class.no_reasons")
    return words.say("class.score", name=name, points=score.points, reasons=told)


def reports_page_views(link: Link | None) -> bool:
    """Whether the clicks of a link are reported as such."""
    return link is not None and CLICK_EVENT not in link.events_off
