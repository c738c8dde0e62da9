"""What the product can see of simulated clicks: counts it has itself, by time, and never the truth."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from daemon.enrich.evidence import Evidence
from tests.simulation.day import SimClick

EPOCH_MS = 1_800_000_000_000
MINUTE = 60.0


class _Timeline:
    """Who was seen when, by a key."""

    def __init__(self, entries: Iterable[tuple[Hashable, float, Any]]) -> None:
        self._by_key: dict[Hashable, list[tuple[float, Any]]] = defaultdict(list)
        for key, at, who in entries:
            self._by_key[key].append((at, who))
        for seen in self._by_key.values():
            seen.sort(key=lambda entry: entry[0])

    def between(self, key: Hashable, after: float, until: float) -> list[Any]:
        seen = self._by_key.get(key, [])
        at: Callable[[tuple[float, Any]], float] = lambda entry: entry[0]
        return [who for _, who in seen[bisect_right(seen, after, key=at) : bisect_right(seen, until, key=at)]]

    def first(self, key: Hashable, until: float) -> float | None:
        seen = self._by_key.get(key, [])
        return seen[0][0] if seen and seen[0][0] <= until else None


def evidence(clicks: list[SimClick], *, after_s: float) -> list[Evidence]:
    """Each click as it is known `after_s` seconds after it came. Starts that are still out may come: None."""
    early = float("-inf")
    repeats = _Timeline(((c.visitor, c.link), c.at_s, c) for c in clicks)
    fbclids = _Timeline((c.fbclid, c.at_s, c.visitor) for c in clicks if c.fbclid is not None)
    tokens = _Timeline((c.token, at, user) for c in clicks for user, at in c.starts)
    people = _Timeline((c.visitor, at, user) for c in clicks for user, at in c.starts)
    seen = []
    for click in clicks:
        now = click.at_s + after_s
        first = tokens.first(click.token, now)
        over = after_s >= MINUTE * 60
        seen.append(
            Evidence(
                clicked_at_ms=EPOCH_MS + round(click.at_s * 1000),
                local_hour=int(click.at_s // 3600) % 24,
                has_fbclid=click.fbclid is not None,
                traffic=click.traffic,
                automation=click.automation,
                in_app=click.in_app,
                user_agent_given=click.user_agent_given,
                hosting=click.hosting,
                country=click.country,
                started=True if first is not None else (False if over else None),
                click_to_start_s=None if first is None else first - click.at_s,
                repeats=len(repeats.between((click.visitor, click.link), click.at_s - MINUTE, click.at_s)),
                token_users=len(set(tokens.between(click.token, early, now))),
                fbclid_visitors=len(set(fbclids.between(click.fbclid, early, now))),
                visitor_users=len(set(people.between(click.visitor, click.at_s - MINUTE, click.at_s))),
            )
        )
    return seen
