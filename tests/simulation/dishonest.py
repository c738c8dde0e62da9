"""Programs, and people who are paid. Each function makes one run, one farm or one ring."""

from __future__ import annotations

from tests.simulation.day import Day, SimClick
from tests.simulation.honest import phone, start


def preview(day: Day) -> list[SimClick]:
    """A messenger looks at a link that somebody sent."""
    return [
        phone(
            day,
            "preview",
            bot=True,
            traffic="preview",
            automation="preview",
            in_app=False,
            hosting=day.chance(0.6),
            visitor=day.server(),
            country=day.country(abroad=0.9),
            fbclid=day.new() if day.chance(0.5) else None,
        )
    ]


def crawler(day: Day) -> list[SimClick]:
    """Crawlers and tools that say what they are."""
    automation = "crawler" if day.chance(0.7) else "tool"
    hosting = day.chance(0.85)
    visitor, country, link = day.server(), day.country(abroad=0.9), day.link()
    at = day.dice.uniform(0, 86_000)
    run = []
    for _ in range(min(200, day.count(3, 1.2))):
        at += day.dice.expovariate(1 / 5)
        run.append(
            phone(
                day,
                "crawler",
                bot=True,
                at_s=at,
                traffic=automation,
                automation=automation,
                in_app=False,
                hosting=hosting,
                visitor=visitor,
                country=country,
                link=link,
                fbclid=None,
            )
        )
    return run


def disguised(day: Day) -> list[SimClick]:
    """Crawlers with a browser's user agent, or none, which harvest and never start."""
    named = day.chance(0.75)
    hosting = day.chance(0.75)
    visitor, country, link = day.server(), day.country(abroad=0.8), day.link()
    at, gap = day.dice.uniform(0, 86_000), day.spread(1.2, 1.2)
    run = []
    for _ in range(min(400, day.count(40, 1.1))):
        at += day.dice.expovariate(1 / gap)
        run.append(
            phone(
                day,
                "disguised",
                bot=True,
                at_s=at,
                traffic="datacenter" if hosting else "human",
                in_app=False,
                user_agent_given=named,
                hosting=hosting,
                visitor=visitor,
                country=country,
                link=link,
                fbclid=None,
            )
        )
    return run


def headless(day: Day) -> list[SimClick]:
    """Browsers without a screen that pretend to be Meta's app, to spend an advertiser's budget. Few start."""
    rented = day.chance(0.85)
    addresses = [day.server() if rented else day.home() for _ in range(day.count(3, 0.8))]
    at, gap, link = day.dice.uniform(0, 86_000), day.spread(1.5, 1.3), day.link()
    country = day.country(abroad=0.5)
    run = []
    for _ in range(min(500, day.count(60, 1.0))):
        at += day.dice.expovariate(1 / gap)
        click = phone(
            day,
            "headless",
            bot=True,
            fraud=True,
            at_s=at,
            hosting=rented,
            visitor=day.dice.choice(addresses),
            country=country,
            link=link,
        )
        start(day, click, rate=0.1, median=1.5, sigma=0.9)
        run.append(click)
    return run


def scripted(day: Day) -> list[SimClick]:
    """Accounts driven by a script that clicks and starts, to be paid for leads."""
    rented = day.chance(0.4)
    click = phone(
        day,
        "scripted",
        bot=True,
        fraud=True,
        hosting=rented,
        visitor=day.server() if rented else day.home(),
    )
    start(day, click, rate=0.9, median=0.7, sigma=0.7)
    return [click]


def farm(day: Day) -> list[SimClick]:
    """A room of phones, people at them, and one advert's link with its fbclid, over and over."""
    fbclid, link, country = day.new(), day.link(), day.country(abroad=0.3)
    addresses = [day.carrier() if day.chance(0.3) else day.home() for _ in range(day.count(40, 0.8, least=2))]
    at, gap = day.dice.uniform(0, 80_000), day.spread(20, 0.8)
    run = []
    for _ in range(min(600, day.count(len(addresses) * 1.5, 0.4))):
        at += day.dice.expovariate(1 / gap)
        click = phone(
            day,
            "farm",
            fraud=True,
            at_s=at,
            visitor=day.dice.choice(addresses),
            link=link,
            fbclid=fbclid,
            country=country,
        )
        start(day, click, rate=0.25, median=5, sigma=0.7)
        run.append(click)
    return run


def ring(day: Day) -> list[SimClick]:
    """One click whose token goes round among accounts that are to be counted."""
    click = phone(day, "ring", fraud=True)
    for _ in range(day.count(9, 0.7, least=2)):
        click.starts.append((day.new(), click.at_s + day.spread(900, 1.2)))
    return [click]


def residential(day: Day) -> list[SimClick]:
    """Good bots behind households' addresses, with a person's patience. Nothing here tells them apart."""
    click = phone(day, "residential", bot=True, fraud=True, visitor=day.home())
    start(day, click, rate=0.4, median=6, sigma=0.8)
    return [click]


def paid_person(day: Day) -> list[SimClick]:
    """Somebody on an own phone who is paid to click and to start. Nothing here tells them apart."""
    click = phone(day, "paid_person", fraud=True)
    start(day, click, rate=0.8, median=6, sigma=0.65)
    return [click]
