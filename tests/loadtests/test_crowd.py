"""The crowd is Brazil's: in-app browsers first, addresses that nobody has, and attacks with documented answers."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from urllib.parse import parse_qs, urlsplit

import pytest

from loadtests.crowd import OLD_TOKEN, Crowd
from loadtests.mixes import MIXES, users_of

RESERVED = [ipaddress.ip_network(text) for text in ("203.0.113.0/24", "198.51.100.0/24", "2001:db8::/32")]
TOKEN = "E" * 62


@pytest.fixture
def crowd() -> Crowd:
    return Crowd(1)


def test_the_mixes_are_shares_of_a_hundred_and_the_owner_s_is_80_15_5() -> None:
    assert MIXES["owner"] == {"ad_clicker": 80, "starter": 15, "api_bot": 5}
    assert all(sum(mix.values()) == 100 for mix in MIXES.values())
    assert not MIXES["owner"].keys() & MIXES["hostile"].keys()


def test_every_kind_of_user_is_there_at_least_twice() -> None:
    assert users_of(MIXES["owner"], 200) == {"ad_clicker": 160, "starter": 30, "api_bot": 10}
    assert users_of(MIXES["owner"], 10)["api_bot"] == 2


def test_every_address_is_of_a_network_for_documentation(crowd: Crowd) -> None:
    addresses = [ipaddress.ip_address(crowd.address()) for _ in range(1000)]
    seen = Counter(next(network for network in RESERVED if address in network) for address in addresses)
    assert set(seen) == set(RESERVED)
    assert seen[RESERVED[2]] == pytest.approx(480, abs=80)


def test_most_clicks_come_from_the_browsers_of_instagram_and_facebook_on_android(crowd: Crowd) -> None:
    agents = [crowd.ad_click().headers["User-Agent"] for _ in range(2000)]
    in_app = sum("Instagram" in agent or "FBAV" in agent for agent in agents)
    assert in_app / len(agents) == pytest.approx(0.86, abs=0.05)
    assert sum("Android" in agent for agent in agents) / len(agents) == pytest.approx(0.73, abs=0.05)
    assert len(set(agents)) > 40


def test_most_clicks_bear_an_fbclid_of_their_own_and_utm_of_one_of_few_ads(crowd: Crowd) -> None:
    queries = [parse_qs(urlsplit(crowd.ad_click().path).query) for _ in range(2000)]
    fbclids = [query["fbclid"][0] for query in queries if "fbclid" in query]
    assert len(fbclids) / len(queries) == pytest.approx(0.95, abs=0.03)
    assert len(set(fbclids)) == len(fbclids)
    assert all(re.fullmatch(r"[\w-]{40,200}", fbclid) for fbclid in fbclids)
    assert len({query["utm_campaign"][0] for query in queries if "utm_campaign" in query}) < 600


def test_robots_name_themselves_and_prefetches_say_so(crowd: Crowd) -> None:
    robots = {crowd.crawl().headers["User-Agent"].split("/")[0] for _ in range(300)}
    assert {
        "facebookexternalhit",
        "meta-externalagent",
        "WhatsApp",
        "TelegramBot (like TwitterBot)",
    } <= robots
    signs = {"Sec-Purpose", "Purpose", "X-Moz", "X-Purpose", "X-FB-HTTP-Engine"}
    seen = [crowd.prefetch().headers.keys() & signs for _ in range(300)]
    assert set().union(*seen) == signs
    assert all(len(found) == 1 for found in seen)


def test_an_attack_on_a_token_bears_none_that_is_good(crowd: Crowd) -> None:
    """What is to be answered 422 for its token has one that differs from the real one; the others may have it."""
    attacks = [crowd.attack(TOKEN) for _ in range(600)]
    assert {attack.name for attack in attacks} >= {
        "start: forged token",
        "start: altered token",
        "start: old token of another key",
        "go: a query of 40 kB",
        "starts: wrong method",
    }
    on_tokens = [
        attack for attack in attacks if attack.name.endswith(("forged token", "altered token", "key"))
    ]
    assert all(TOKEN not in attack.body + attack.path or not attack.key for attack in on_tokens)
    assert any(OLD_TOKEN in attack.body for attack in attacks)
    assert not any(re.search(r"\{\w+(:\d+)?\}", attack.body + attack.path) for attack in attacks)


def test_no_attack_expects_an_error_of_the_server(crowd: Crowd) -> None:
    assert all(status < 500 for _ in range(300) for status in crowd.attack("").expected)


def test_the_same_seed_makes_the_same_crowd() -> None:
    one, other = Crowd(5), Crowd(5)
    assert [one.ad_click() for _ in range(20)] == [other.ad_click() for _ in range(20)]


def test_people_think_for_seconds_and_never_longer_than_half_a_minute(crowd: Crowd) -> None:
    seconds = sorted(crowd.think_seconds() for _ in range(1000))
    assert 0 < seconds[0] <= seconds[-1] <= 30
    assert seconds[500] == pytest.approx(4, abs=0.6)
