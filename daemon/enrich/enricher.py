"""One click's place, agent, traffic class and scores: the same steps when it is settled, started and scored again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from daemon.enrich.agent import Agents
from daemon.enrich.evidence import Evidence
from daemon.enrich.networks import HOSTING
from daemon.enrich.scores import scores
from daemon.enrich.traffic import classify, promoted
from domain.books import MINUTE_MS
from domain.click import Click
from domain.enrichment import NO_USER_AGENT, USER_AGENT_GONE, Agent, Enrichment, Geo, Traffic
from domain.outcomes import Counts
from privacy.seal import Original, Sealer
from runtime.logs import get_logger

UNREADABLE = Enrichment(traffic=Traffic("unknown", ("could not be read",)))
# About 26 MB: what 10^7 clicks a day bring in seven minutes.
MOST_VISITORS = 50_000
MOST_REPEATS = 500
_log = get_logger("trilha.enrich")


class Places(Protocol):
    """Says where an address is. Raises nothing."""

    def of(self, ip: str | None) -> Geo: ...


class Enricher:
    """Adds to clicks. Any thread may call `of`; calls of `settled` come one after another."""

    def __init__(self, *, sealer: Sealer, places: Places, agents: Agents, zone: ZoneInfo) -> None:
        self._sealer = sealer
        self._places = places
        self._agents = agents
        self._zone = zone
        self._repeats = Repeats()

    def settled(self, batch: Sequence[Click]) -> dict[UUID, Enrichment]:
        """What is added to clicks as they are settled, by their ids. A batch settled again counts no click twice."""
        counted = [(click, Counts(repeats=self._repeats.of(click))) for click in batch]
        return {click.id: self.of(click, counts) for click, counts in counted}

    def of(self, click: Click, counts: Counts, kept: Enrichment | None = None) -> Enrichment:
        """What is added now, with what had been added before as `kept`. Raises nothing.

        Once the original is gone, its place, agent and class stay as they are kept; the scores are made anew.
        """
        try:
            return self._of(click, counts, kept)
        except Exception as error:  # noqa: BLE001  what a stranger sent must not hold up the settling of clicks
            _log.error("a click could not be enriched", kind=type(error).__name__)
            return kept or UNREADABLE

    def past(self, click: Click, original: Original) -> Enrichment:
        """What is added to a click of another tracker, whose original is in hand and need not be sealed. Raises nothing.

        Nothing is concluded from an absent user agent, which that tracker may not have kept.
        """
        counts = Counts(repeats=self._repeats.of(click))
        try:
            given = True if original.user_agent else None
            return self._added(click, counts, self._look(click, original, None, given=given), counts.repeats)
        except Exception as error:  # noqa: BLE001  as above
            _log.error("a click could not be enriched", kind=type(error).__name__)
            return UNREADABLE

    def _of(self, click: Click, counts: Counts, kept: Enrichment | None) -> Enrichment:
        original = self._sealer.open(click.sealed, click.id) if click.sealed else None
        if original is None and kept is not None:
            seen = _Seen(kept.geo, kept.agent, kept.traffic)
        else:
            seen = self._look(click, original, kept, given=bool(original.user_agent) if original else None)
        return self._added(click, counts, seen, counts.repeats or (kept.repeats if kept else 0))

    def _added(self, click: Click, counts: Counts, seen: "_Seen", repeats: int) -> Enrichment:
        traffic = promoted(seen.traffic, seen.agent) if counts.started else seen.traffic
        evidence = Evidence(
            clicked_at_ms=click.at_ms,
            local_hour=datetime.fromtimestamp(click.at_ms / 1000, self._zone).hour,
            has_fbclid=click.fbclid_key is not None,
            traffic=traffic.kind,
            automation=seen.agent.automation,
            in_app=seen.agent.app is not None,
            user_agent_given=_given(traffic),
            hosting=seen.geo.asn in HOSTING,
            country=seen.geo.country,
            started=counts.started,
            click_to_start_s=_seconds(click, counts),
            repeats=repeats,
            token_users=counts.token_users,
            fbclid_visitors=counts.fbclid_visitors,
            visitor_users=counts.visitor_users,
        )
        return Enrichment(seen.geo, seen.agent, traffic, scores(evidence), repeats)

    def _look(
        self, click: Click, original: Original | None, kept: Enrichment | None, *, given: bool | None
    ) -> "_Seen":
        geo = self._places.of(original.ip or None) if original else Geo()
        if kept is not None:
            geo = _at_least(geo, kept.geo)
        agent = self._agents.of(original.user_agent) if original else Agent()
        traffic = classify(
            method=click.method,
            prefetch=click.prefetch,
            agent=agent,
            user_agent_given=given,
            asn=geo.asn,
            hosting=HOSTING,
        )
        return _Seen(geo, agent, traffic)


@dataclass(frozen=True, slots=True)
class _Seen:
    geo: Geo
    agent: Agent
    traffic: Traffic


class Repeats:
    """Counts the clicks of each visitor on each link by the minute, as one worker sees them. In memory only, and bounded:
    beyond `visitors` minutes the one that began first is forgotten, beyond `clicks` in one nothing is added.
    """

    def __init__(self, *, visitors: int = MOST_VISITORS, clicks: int = MOST_REPEATS) -> None:
        self._most_visitors = visitors
        self._most_clicks = clicks
        self._seen: dict[tuple[bytes, int, int], set[UUID]] = {}

    def of(self, click: Click) -> int:
        """How many there are with this one: 1 for the first; 0 without a visitor key."""
        if click.visitor_key is None:
            return 0
        key = (click.visitor_key, click.link_id, click.at_ms // MINUTE_MS)
        ids = self._seen.get(key)
        if ids is None:
            if len(self._seen) >= self._most_visitors:
                del self._seen[next(iter(self._seen))]
            ids = self._seen[key] = set()
        if len(ids) < self._most_clicks:
            ids.add(click.id)
        return len(ids)


def _at_least(geo: Geo, kept: Geo) -> Geo:
    """What no database says any more stays as one had said it."""
    place = geo if geo.country else kept
    return place._replace(asn=geo.asn or kept.asn, source=place.source or geo.source)


def _given(traffic: Traffic) -> bool | None:
    if NO_USER_AGENT in traffic.evidence:
        return False
    return None if USER_AGENT_GONE in traffic.evidence else True


def _seconds(click: Click, counts: Counts) -> float | None:
    return None if counts.started_at_ms is None else (counts.started_at_ms - click.at_ms) / 1000
