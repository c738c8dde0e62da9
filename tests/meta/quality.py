"""The Dataset Quality API: how well what was accepted can be matched, 0 to 10, computed from which keys it had.

Meta does not say how it computes the score. Ours rises with what Meta says matters: e-mail and click id most, then
external id, browser id, phone and country, then the rest. It is the same for the same events, and only for `website`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.meta.refusals import Refusal, Refused

_WEIGHTS = {
    **dict.fromkeys(("em", "fbc"), 3.0),
    **dict.fromkeys(("external_id", "fbp", "ph", "country"), 1.0),
    **dict.fromkeys(
        ("client_ip_address", "client_user_agent", "fn", "ln", "ct", "st", "zp", "db", "ge"), 0.5
    ),
}
_NAMES = {
    "em": "email",
    "ph": "phone",
    "client_ip_address": "ip_address",
    "client_user_agent": "user_agent",
    "fbc": "fb_click_id",
    "fbp": "fb_browser_id",
}


def quality(
    coverage: Mapping[tuple[str, str], Counter[str]], pixel: str, fields: str
) -> dict[str, list[dict[str, Any]]]:
    """What is asked for in `fields`, event by event. Raises Refused."""
    if not fields.replace(" ", "").startswith("web{"):
        raise Refused(Refusal(code=100, message="(#100) Tried accessing nonexisting field"))
    events = sorted((name, found) for (owner, name), found in coverage.items() if owner == pixel)
    return {"web": [_chosen(_event(name, found), fields) for name, found in events]}


def score(found: Counter[str]) -> float:
    """The composite score of one kind of event."""
    return round(min(10.0, sum(weight * _share(found, key) for key, weight in _WEIGHTS.items())), 1)


def _event(name: str, found: Counter[str]) -> dict[str, Any]:
    feedback = [
        {"identifier": _NAMES.get(key, key), "coverage": {"percentage": round(100 * _share(found, key), 1)}}
        for key in _WEIGHTS
        if found[key]
    ]
    return {
        "event_name": name,
        "event_match_quality": {"composite_score": score(found), "match_key_feedback": feedback},
        "event_coverage": {"percentage": 100.0, "goal_percentage": 75.0},
        "data_freshness": {"upload_frequency": "real_time"},
    }


def _share(found: Counter[str], key: str) -> float:
    return found[key] / found["events"]


def _chosen(event: dict[str, Any], fields: str) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name in fields}
