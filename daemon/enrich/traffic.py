"""What kind of visit a click was, with what that was read from. It is written down, and never changes the answer."""

from daemon.enrich.networks import META
from domain.enrichment import NO_USER_AGENT, USER_AGENT_GONE, Agent, Traffic, TrafficClass

LIGER = "x-fb-http-engine"
REDEEMED = "redeemed"
_HOSTING = " hosting"


def classify(
    *,
    method: str,
    prefetch: str,
    agent: Agent,
    user_agent_given: bool | None,
    asn: int | None,
    hosting: frozenset[int],
) -> Traffic:
    """The first that holds, in the order of how much it says; everything else that was seen stays as evidence.

    1. The agent names itself a program: crawler, preview or tool, whatever else it sends.
    2. The network is Meta's own, where no visitor lives: preview.
    3. A sign of prefetching: prefetch, tentative, as a person may tap next and be given this very answer.
    4. HEAD: head, tentative likewise.
    5. An app's own browser: in_app, also from a hosting network, which the scores then count.
    6. A hosting network under any other browser: datacenter.
    7. A browser: human.
    8. Nothing was said: unknown. That holds for an empty agent too, as privacy tools send one; it is evidence.

    `user_agent_given` is None when the original cannot be opened any more: then nothing is concluded from its absence.
    `hosting` are the numbers of networks that rent out machines.
    """
    evidence = (
        *_of_agent(agent, given=user_agent_given),
        *_of_request(method, prefetch),
        *_of_network(asn, hosting),
    )
    kind = _kind(method, prefetch, agent, asn, hosting)
    return Traffic(kind=kind, evidence=evidence, tentative=kind in {"prefetch", "head"})


def promoted(traffic: Traffic, agent: Agent) -> Traffic:
    """What a tentative visit becomes once its token was redeemed; any other stays what it is.

    Whoever redeems is a person; of whom the agent, perhaps forgotten by then, tells only the surroundings.
    """
    if not traffic.tentative:
        return traffic
    kind: TrafficClass = "human"
    if agent.app:
        kind = "in_app"
    elif any(seen.startswith("asn:") and seen.endswith(_HOSTING) for seen in traffic.evidence):
        kind = "datacenter"
    return Traffic(kind=kind, evidence=(*traffic.evidence, REDEEMED))


def _kind(method: str, prefetch: str, agent: Agent, asn: int | None, hosting: frozenset[int]) -> TrafficClass:
    if agent.automation:
        return agent.automation
    if asn == META:
        return "preview"
    if prefetch:
        return "prefetch"
    return "head" if method == "HEAD" else _of_person(agent, rented=asn in hosting)


def _of_person(agent: Agent, *, rented: bool) -> TrafficClass:
    if agent.app:
        return "in_app"
    if not _is_browser(agent):
        return "unknown"
    return "datacenter" if rented else "human"


def _is_browser(agent: Agent) -> bool:
    return agent.browser is not None or agent.device != "unknown"


def _of_agent(agent: Agent, *, given: bool | None) -> tuple[str, ...]:
    if name := agent.robot or agent.app or agent.browser:
        return (f"agent:{name.lower()}",)
    if agent.automation:
        return ("agent:pattern of a robot",)
    if _is_browser(agent):
        return (f"agent:{agent.device}",)
    if given is None:
        return (USER_AGENT_GONE,)
    return ("agent:not recognised",) if given else (NO_USER_AGENT,)


def _of_request(method: str, prefetch: str) -> tuple[str, ...]:
    name = prefetch.partition("=")[0]
    signs = () if not name else ("prefetch:meta app",) if name == LIGER else (f"prefetch:{name}",)
    return (*signs, "method:head") if method == "HEAD" else signs


def _of_network(asn: int | None, hosting: frozenset[int]) -> tuple[str, ...]:
    if asn == META:
        return (f"asn:{asn} meta",)
    return (f"asn:{asn}{_HOSTING}",) if asn in hosting else ()
