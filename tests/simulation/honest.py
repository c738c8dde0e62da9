"""People. Each function makes one visit, or one group of people who belong together."""

from __future__ import annotations

from typing import Any

from tests.simulation.day import DAY, Day, SimClick


def start(day: Day, click: SimClick, *, rate: float, median: float = 7, sigma: float = 0.65) -> None:
    """Perhaps the person goes on to press START: reading, an app that opens, a tap. One in ten is used to it."""
    if day.chance(0.1):
        median = min(median, 2.5)
    if day.chance(rate):
        click.starts.append((day.new(), click.at_s + day.spread(median, sigma)))


def phone(day: Day, kind: str, **known: Any) -> SimClick:
    """One person in the browser of Meta's app: behind a carrier's shared address, at home, or behind a VPN."""
    vpn = day.chance(0.025)
    shared = day.carrier() if day.chance(0.7) else day.home()
    at, link = day.moment(), day.link()
    if day.chance(0.25):
        begin, lasts, link = day.dice.choice(day.bursts)
        at = (begin + day.dice.expovariate(1 / lasts)) % DAY
    made: dict[str, Any] = {
        "at_s": at,
        "link": link,
        "visitor": day.vpn() if vpn else shared,
        "hosting": vpn and day.chance(0.8),
        "country": day.country(abroad=0.5 if vpn else 0.02),
        "fbclid": day.new() if day.chance(0.94) else None,
        "token": day.new(),
    }
    return SimClick(kind=kind, **(made | known))


def in_app(day: Day) -> list[SimClick]:
    click = phone(day, "in_app")
    start(day, click, rate=0.35)
    return [click]


def desktop(day: Day) -> list[SimClick]:
    """At a desk, some of them behind a company's exit in a hosting network."""
    office = day.chance(0.06)
    click = phone(
        day,
        "desktop",
        in_app=False,
        traffic="datacenter" if office else "human",
        hosting=office,
        visitor=day.vpn() if office else day.home(),
        fbclid=day.new() if day.chance(0.7) else None,
    )
    start(day, click, rate=0.25, median=14, sigma=0.8)
    return [click]


def abroad(day: Day) -> list[SimClick]:
    """Brazilians abroad, and everybody else who reads Portuguese."""
    click = phone(day, "abroad", country=day.dice.choice(("PT", "US", "AR", "AO", "JP")), visitor=day.home())
    start(day, click, rate=0.35)
    return [click]


def night(day: Day) -> list[SimClick]:
    """Awake between two and seven."""
    click = phone(day, "night", at_s=day.dice.uniform(2, 7) * 3600)
    start(day, click, rate=0.35)
    return [click]


def double_tap(day: Day) -> list[SimClick]:
    """Somebody impatient: the same link twice or more, within seconds."""
    first = phone(day, "double_tap")
    taps = [first]
    while len(taps) < 2 or (len(taps) < 12 and day.chance(0.35)):
        later = taps[-1].at_s + day.spread(2.5, 0.8)
        same = {
            "link": first.link,
            "visitor": first.visitor,
            "hosting": first.hosting,
            "fbclid": first.fbclid,
        }
        taps.append(phone(day, "double_tap", at_s=later, country=first.country, **same))
    start(day, taps[-1], rate=0.4)
    return taps


def sharing(day: Day) -> list[SimClick]:
    """A link passed on, fbclid and all, to friends or a group; some pass on the deep link itself, token and all."""
    first = phone(day, "sharing")
    start(day, first, rate=0.6)
    group = [first]
    for _ in range(min(200, day.count(2.5, 1.1))):
        at = first.at_s + day.spread(1800, 1.3)
        if day.chance(0.2):
            first.starts.append((day.new(), at))
            continue
        friend = phone(day, "sharing", at_s=at, link=first.link, fbclid=first.fbclid, in_app=day.chance(0.3))
        friend.traffic = "in_app" if friend.in_app else "human"
        start(day, friend, rate=0.35)
        group.append(friend)
    return group


def bare(day: Day) -> list[SimClick]:
    """Somebody whose browser is told to send no user agent."""
    click = phone(day, "bare", in_app=False, traffic="human", user_agent_given=False)
    start(day, click, rate=0.25)
    return [click]


def prefetch(day: Day) -> list[SimClick]:
    """Meta's app fetches ahead. Where the person taps, the token that was fetched is the one redeemed."""
    click = phone(day, "prefetch", traffic="prefetch")
    tapped = day.chance(0.2)
    click.bot = not tapped
    if tapped:
        start(day, click, rate=0.35, median=12, sigma=0.9)
    return [click]
