"""Visits: what is known of a click's place, device and class, in the columns of `clicks`; drawn once, used many times.

A pool of thousands of kinds stands for millions of visitors: making each anew would be most of the generator's time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from loadtests.history.places import ABROAD, BRAZIL, CARRIERS, HOSTERS, META, SOURCE, STATES

COLUMNS = (
    "method", "referer_host", "language", "prefetch", "gpc",
    "country", "region", "city", "asn", "geo_source",
    "device", "os", "os_version", "browser", "browser_version", "app", "automation", "robot",
    "traffic_class", "tentative", "evidence", "repeats",
    "bot_score", "fraud_score", "reasons", "baseline_bot", "baseline_fraud",
)  # fmt: skip
SCORED = COLUMNS.index("bot_score")
CLASSES = {
    "in_app": 68.0, "human": 21.0, "prefetch": 4.2, "preview": 2.1, "crawler": 1.7, "datacenter": 1.1, "unknown": 0.9,
    "tool": 0.6, "head": 0.4,
}  # fmt: skip
STARTS = {"in_app": 0.28, "human": 0.27, "prefetch": 0.04, "unknown": 0.12, "datacenter": 0.03, "head": 0.01}
"""How many of a class press START. What was tentative becomes a person's then."""
KINDS = 12_000
T = TypeVar("T")
Value = str | int | None
Reason = tuple[str, int, str]
_APPS = (("Instagram", 62), ("Facebook", 31), ("Messenger", 3), ("TikTok", 4))
_ROBOTS = {
    "preview": ("facebookexternalhit", "TelegramBot", "WhatsApp"),
    "crawler": ("Googlebot", "bingbot", "meta-externalagent"),
    "tool": ("curl", "python-requests", "Go-http-client"),
}
_SITES = {
    "Instagram": "l.instagram.com",
    "Facebook": "m.facebook.com",
    "Messenger": "l.facebook.com",
    "TikTok": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One kind. starts: how likely START is; `started` is what it is then. fbclid: how likely it has one."""

    values: tuple[Value, ...]
    started: tuple[Value, ...]
    tentative: bool
    starts: float
    fbclid: float


def visit_pool(rng: Random) -> list[Visit]:
    """Kinds, each as likely as the next."""
    kinds = rng.choices(list(CLASSES), list(CLASSES.values()), k=KINDS)
    return [_visit(rng, kind) for kind in kinds]


def quick(values: tuple[Value, ...], wait_ms: int) -> tuple[Value, ...]:
    """The same visit, started so soon that it counts into the scores."""
    name, bot, fraud = ("instant_start", 60, 50) if wait_ms < 800 else ("fast_start", 30, 20)
    seen = f"started {wait_ms // 100 / 10} s after the click"
    return (
        *values[:SCORED],
        bot,
        fraud,
        _reasons([(name, bot, seen)], [(name, fraud, seen)]),
        20,
        values[-1],
    )


def _visit(rng: Random, kind: str) -> Visit:
    place = _place(rng, kind)
    agent = _agent(rng, kind)
    evidence = _evidence(kind, agent, place[3])
    tentative = kind in {"prefetch", "head"}
    bot, fraud = _signals(rng, kind)
    fbclid = {"in_app": 0.97, "human": 0.72, "prefetch": 0.98, "datacenter": 0.3}.get(kind, 0.1)
    app = str(agent[5] or "")
    request: tuple[Value, ...] = (
        "HEAD" if kind == "head" else "GET",
        _SITES.get(app, ""),
        "" if agent[6] else "pt-BR,pt;q=0.9,en-US;q=0.8,en;q=0.7",
        "x-fb-http-engine=Liger" if kind == "prefetch" else "",
        int(rng.random() < 0.004),
    )
    baseline = (50 * bool(agent[6]), 40 * (place[0] != "BR") + 30 * (fbclid < 0.5))

    def columns(
        kind: str, evidence: list[str], *, tentative: bool, bot: list[Reason], fraud: list[Reason]
    ) -> tuple[Value, ...]:
        scores = (_sum(bot), _sum(fraud), _reasons(bot, fraud), *baseline)
        repeats = 1 if rng.random() < 0.93 else rng.randint(2, 6)
        return (*request, *place, *agent, kind, int(tentative), json.dumps(evidence), repeats, *scores)

    values = columns(kind, evidence, tentative=tentative, bot=bot, fraud=fraud)
    person = "in_app" if app else "human"
    started = (
        columns(person, [*evidence, "redeemed"], tentative=False, bot=[], fraud=[]) if tentative else values
    )
    return Visit(
        values=values,
        started=started,
        tentative=tentative,
        starts=STARTS.get(kind, 0.0),
        fbclid=fbclid,
    )


def _place(rng: Random, kind: str) -> tuple[Value, ...]:
    if kind in {"preview", "crawler"}:
        return ("US", "California", "Menlo Park", META if kind == "preview" else 15169, SOURCE)
    if kind in {"tool", "datacenter"}:
        return ("US", "Virginia", "Ashburn", rng.choice(HOSTERS), SOURCE)
    if rng.random() < 0.012:
        return (None,) * 5
    if rng.random() < BRAZIL:
        state = rng.choices(list(STATES), [share for share, _ in STATES.values()])[0]
        cities = STATES[state][1]
        city = (
            None if rng.random() < 0.08 else rng.choices(cities, [1 / (n + 1) for n in range(len(cities))])[0]
        )
        return ("BR", state, city, _weighed(rng, CARRIERS), SOURCE)
    country = rng.choices(list(ABROAD), [share for share, _, _ in ABROAD.values()])[0]
    return (country, *ABROAD[country][1:], rng.randint(1000, 60_000), SOURCE)


def _agent(rng: Random, kind: str) -> tuple[Value, ...]:
    """Device, os and version, browser and version, app, automation, robot."""
    if kind in _ROBOTS:
        return ("other", None, None, None, None, None, kind, rng.choice(_ROBOTS[kind]))
    if kind == "unknown":
        return ("unknown", None, None, None, None, None, None, None)
    in_app = kind in {"in_app", "prefetch"}
    if not in_app and rng.random() < (0.9 if kind == "datacenter" else 0.18):
        system = _weighed(rng, (("Windows", 86), ("Mac OS X", 9), ("Linux", 5)))
        return ("desktop", system, "10", *_browser(rng, ("Chrome", "Edge", "Firefox")), None, None, None)
    app = _weighed(rng, _APPS) if in_app else None
    browser: tuple[Value, Value]
    if rng.random() < 0.79:
        browser = (
            ("Chrome Mobile WebView", "131")
            if in_app
            else _browser(rng, ("Chrome Mobile", "Samsung Internet"))
        )
        return ("phone", "Android", str(rng.randint(10, 15)), *browser, app, None, None)
    device = "tablet" if rng.random() < 0.06 else "phone"
    browser = ("Mobile Safari UI/WKWebView", None) if in_app else ("Mobile Safari", "18")
    return (device, "iOS", str(rng.randint(15, 18)), *browser, app, None, None)


def _browser(rng: Random, names: Sequence[str]) -> tuple[str, str]:
    return rng.choices(names, [6, 2, 1][: len(names)])[0], str(rng.randint(125, 142))


def _weighed(rng: Random, choices: Sequence[tuple[T, float]]) -> T:
    return rng.choices([name for name, _ in choices], [share for _, share in choices])[0]


def _evidence(kind: str, agent: tuple[Value, ...], asn: Value) -> list[str]:
    name = agent[7] or agent[5] or agent[3]
    seen = [f"agent:{str(name).lower()}" if name else "agent:not recognised"]
    seen += ["prefetch:meta app"] if kind == "prefetch" else ["method:head"] if kind == "head" else []
    return [*seen, f"asn:{asn} hosting"] if asn in HOSTERS else seen


def _signals(rng: Random, kind: str) -> tuple[list[Reason], list[Reason]]:
    bot: list[Reason] = []
    fraud: list[Reason] = []
    if kind in _ROBOTS:
        bot.append(("says_program", 80, f"user agent of a {kind}"))
    if kind in {"prefetch", "head"}:
        bot.append(("unredeemed_prefetch", 50, f"{kind} that nobody redeemed"))
    if kind in {"datacenter", "tool"}:
        bot.append(("hosting", 25, "address of a hosting network"))
    if rng.random() < 0.02:
        seen = rng.randint(8, 40)
        many = seen >= 25
        fraud.append(
            (
                "fbclid_of_many" if many else "fbclid_of_some",
                60 if many else 25,
                f"one fbclid from {seen} visitor keys",
            )
        )
    if rng.random() < 0.006:
        text = f"{rng.randint(61, 300)} clicks of one visitor key in a minute"
        bot.append(("burst", 30, text))
        fraud.append(("burst", 25, text))
    return bot, fraud


def _sum(reasons: list[Reason]) -> int:
    return min(100, sum(weight for _, weight, _ in reasons))


def _reasons(bot: list[Reason], fraud: list[Reason]) -> str:
    return json.dumps({"bot": bot, "fraud": fraud})
