"""Classes of traffic: one for every visit, with what it was read from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.enrich.traffic import META, classify, promoted
from domain.enrichment import TRAFFIC_CLASSES, Agent, Traffic

HOSTING = frozenset({16509, 14061})
CHROME = Agent("phone", "Android", "14", "Chrome", "131")
INSTAGRAM = Agent("phone", "iOS", "18", "Instagram", "373", app="Instagram")
GOOGLEBOT = Agent("other", automation="crawler", robot="Googlebot")
PREVIEW = Agent("other", automation="preview", robot="WhatsApp")
CURL = Agent("other", automation="tool", robot="curl")
NAMELESS = Agent("other", automation="crawler")
NOTHING = Agent()
LIGER = "x-fb-http-engine=liger"
CLOUD = 16509


def of(agent: Agent = CHROME, **seen: Any) -> Traffic:
    usual = {"method": "GET", "prefetch": "", "user_agent_given": True, "asn": 28573, "hosting": HOSTING}
    return classify(agent=agent, **usual | seen)


@pytest.mark.parametrize(
    ("agent", "seen", "kind", "evidence"),
    [
        (CHROME, {}, "human", ("agent:chrome",)),
        (CHROME, {"asn": None}, "human", ("agent:chrome",)),
        (INSTAGRAM, {}, "in_app", ("agent:instagram",)),
        (GOOGLEBOT, {}, "crawler", ("agent:googlebot",)),
        (NAMELESS, {}, "crawler", ("agent:pattern of a robot",)),
        (PREVIEW, {"method": "HEAD"}, "preview", ("agent:whatsapp", "method:head")),
        (CURL, {"asn": CLOUD}, "tool", ("agent:curl", "asn:16509 hosting")),
        (GOOGLEBOT, {"prefetch": "purpose=prefetch"}, "crawler", ("agent:googlebot", "prefetch:purpose")),
        (
            CHROME,
            {"prefetch": "sec-purpose=prefetch;prerender"},
            "prefetch",
            ("agent:chrome", "prefetch:sec-purpose"),
        ),
        (INSTAGRAM, {"prefetch": LIGER}, "prefetch", ("agent:instagram", "prefetch:meta app")),
        (
            CHROME,
            {"prefetch": "purpose=prefetch", "method": "HEAD"},
            "prefetch",
            ("agent:chrome", "prefetch:purpose", "method:head"),
        ),
        (CHROME, {"method": "HEAD"}, "head", ("agent:chrome", "method:head")),
        (CHROME, {"asn": CLOUD}, "datacenter", ("agent:chrome", "asn:16509 hosting")),
        (INSTAGRAM, {"asn": CLOUD}, "in_app", ("agent:instagram", "asn:16509 hosting")),
        (CHROME, {"asn": META}, "preview", ("agent:chrome", "asn:32934 meta")),
        (
            INSTAGRAM,
            {"asn": META, "prefetch": LIGER},
            "preview",
            ("agent:instagram", "prefetch:meta app", "asn:32934 meta"),
        ),
        (GOOGLEBOT, {"asn": META}, "crawler", ("agent:googlebot", "asn:32934 meta")),
        (Agent("tv"), {}, "human", ("agent:tv",)),
        (NOTHING, {}, "unknown", ("agent:not recognised",)),
        (NOTHING, {"user_agent_given": False}, "unknown", ("no user agent",)),
        (
            NOTHING,
            {"user_agent_given": False, "asn": CLOUD},
            "unknown",
            ("no user agent", "asn:16509 hosting"),
        ),
        (
            NOTHING,
            {"user_agent_given": False, "prefetch": LIGER},
            "prefetch",
            ("no user agent", "prefetch:meta app"),
        ),
        (NOTHING, {"user_agent_given": None}, "unknown", ("user agent not kept",)),
        (INSTAGRAM, {"user_agent_given": None}, "in_app", ("agent:instagram",)),
    ],
)
def test_a_visit_is_classed_like_this(
    agent: Agent, seen: dict[str, Any], kind: str, evidence: tuple[str, ...]
) -> None:
    assert of(agent, **seen) == Traffic(kind, evidence, kind in {"prefetch", "head"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("agent", "seen", "kind"),
    [
        (CHROME, {"method": "HEAD"}, "human"),
        (CHROME, {"prefetch": "sec-purpose=prefetch"}, "human"),
        (INSTAGRAM, {"prefetch": LIGER}, "in_app"),
        (INSTAGRAM, {"prefetch": LIGER, "asn": CLOUD}, "in_app"),
        (CHROME, {"prefetch": "purpose=prefetch", "asn": CLOUD}, "datacenter"),
        (NOTHING, {"prefetch": LIGER, "user_agent_given": None}, "human"),
    ],
)
def test_a_tentative_visit_whose_token_is_redeemed_was_a_person(
    agent: Agent, seen: dict[str, Any], kind: str
) -> None:
    before = of(agent, **seen)
    after = promoted(before, agent)
    assert after == Traffic(kind, (*before.evidence, "redeemed"), tentative=False)  # type: ignore[arg-type]
    assert promoted(after, agent) == after


@pytest.mark.parametrize("agent", [GOOGLEBOT, PREVIEW, CURL, CHROME, INSTAGRAM, NOTHING])
def test_what_is_not_tentative_stays_what_it_is(agent: Agent) -> None:
    assert promoted(of(agent), agent) == of(agent)


def test_a_browser_that_calls_itself_hosting_is_no_hosting_network() -> None:
    agent = CHROME._replace(browser="My Hosting")
    assert promoted(of(agent, method="HEAD"), agent).kind == "human"


@given(
    agent=st.sampled_from([CHROME, INSTAGRAM, GOOGLEBOT, PREVIEW, CURL, NAMELESS, NOTHING]),
    method=st.sampled_from(["GET", "HEAD"]),
    prefetch=st.sampled_from(["", "purpose=prefetch", LIGER]),
    user_agent_given=st.sampled_from([True, False, None]),
    asn=st.none() | st.sampled_from([META, CLOUD, 28573]),
)
def test_every_visit_has_one_class_of_the_closed_set_and_evidence(agent: Agent, **seen: Any) -> None:
    traffic = of(agent, **seen)
    assert traffic.kind in TRAFFIC_CLASSES
    assert traffic.evidence
    assert all(0 < len(phrase) <= 60 for phrase in traffic.evidence)
    assert not agent.automation or traffic.kind == agent.automation
    assert seen["user_agent_given"] is not None or "no user agent" not in traffic.evidence
    assert traffic.tentative == (traffic.kind in {"prefetch", "head"})
