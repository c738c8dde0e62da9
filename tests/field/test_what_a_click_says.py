"""Failures in who a click was taken to be from: address, cookies, click id. Each test is named for one, and guards it."""

from __future__ import annotations

import asyncio
import hmac
import socket
from pathlib import Path
from typing import Any

import pytest_asyncio

from backends.sql.schema import clicks, outbox, starts
from backends.sql.scoring import SqlScoring
from chaos.servers import HOST, free_port
from daemon.enrich.build import make_enricher
from daemon.enrich.geo import GeoIp
from daemon.scoring import Rescored, Scoring
from domain.clock import SystemClock
from domain.ids import uuid7_ms
from privacy.keyring import Keyring
from privacy.seal import Original
from runtime.settings import Bind
from tests.daemon_fixture import SLUG, Door, Site

PROXY, STRANGER = "127.0.0.2", "127.0.0.3"
TRUSTED = [f"{PROXY}/32", "10.0.0.0/8", "2001:db8:ffff::/48"]
CLIENT, CLIENT6 = "177.10.0.9", "2804:14c:65a1:8e1f:1:2:3:4"
MAPPED = f"::ffff:{CLIENT}"
FBCLID = "IwZXh0bgNhZW0BMABhZGlkAasVQ" + "k3xZ_-9" * 20 + "_aem_7QGhicD3IfitnAZIYLLFEx"
DAY_MS = 86_400_000
LARGEST_ID = 2**52 - 1
BATCH = 50
Headers = list[tuple[str, str]]

# Who asks, with which headers, and whose address that is; None where nobody can know.
ADDRESSES: list[tuple[str, Headers, str | None]] = [
    (PROXY, [("X-Forwarded-For", CLIENT)], CLIENT),
    (PROXY, [("X-Forwarded-For", CLIENT6)], CLIENT6),
    (PROXY, [("X-Forwarded-For", f"{CLIENT}:51002")], CLIENT),
    (PROXY, [("X-Forwarded-For", f"{CLIENT}, 10.0.0.7")], CLIENT),
    (PROXY, [("X-Forwarded-For", f"{CLIENT}, 10.0.0.7, 2001:db8:ffff::7, 10.9.9.9")], CLIENT),
    (PROXY, [("X-Forwarded-For", CLIENT), ("X-Forwarded-For", "10.0.0.7")], CLIENT),
    (PROXY, [("X-Forwarded-For", f"8.8.8.8, {CLIENT}, 10.0.0.7")], CLIENT),
    (PROXY, [("X-Forwarded-For", "8.8.8.8"), ("X-Forwarded-For", CLIENT)], CLIENT),
    (PROXY, [("X-Forwarded-For", CLIENT), ("X-Real-IP", "10.0.0.7")], CLIENT),
    (PROXY, [("X-Forwarded-For", CLIENT), ("Forwarded", f"for={PROXY}")], CLIENT),
    (PROXY, [("X-Forwarded-For", "unknown")], None),
    (PROXY, [("X-Forwarded-For", "")], None),
    (PROXY, [("X-Forwarded-For", f"{CLIENT}, _hidden, 10.0.0.7")], None),
    (STRANGER, [], STRANGER),
    (STRANGER, [("X-Forwarded-For", CLIENT)], STRANGER),
    (STRANGER, [("X-Forwarded-For", f"{CLIENT}, {PROXY}")], STRANGER),
    (STRANGER, [("X-Real-IP", CLIENT), ("CF-Connecting-IP", CLIENT), ("True-Client-IP", CLIENT)], STRANGER),
]


def visitor_key(site: Site, ip: str | None, row: Any) -> bytes | None:
    """The key of an address on the row's day, worked out another way than the product does."""
    if ip is None:
        return None
    keys = Keyring(site.settings.secrets, site.clock).period_keys(row.visitor_period)
    assert keys is not None
    network = socket.inet_pton(socket.AF_INET6, ip)[:8] if ":" in ip else socket.inet_aton(ip)
    return hmac.digest(keys.visitor, network, "sha256")[:16]


async def rescore(site: Site) -> Rescored:
    """Score everything anew, as `trilha rescore` does."""
    ring = Keyring(site.settings.secrets, site.clock)
    enricher = make_enricher(site.settings, ring, GeoIp(site.settings.geoip))
    async with site.engine() as engine:
        return await Scoring(SqlScoring(engine), enricher.of, site.clock).again(0, lambda _: None)


async def clicked(door: Door, headers: Headers, *, query: str = "", source: str = PROXY) -> str:
    """A click from that address that must be redirected; its token."""
    answer = await door.get(f"/go/{SLUG}?{query}", headers, source=source)
    assert answer.status == 302, answer.raw
    return answer.token


async def prepared(site: Site) -> Site:
    """The site, ready to run."""
    await site.prepare()
    return site


@pytest_asyncio.fixture
async def proxied(tmp_path: Path) -> Site:
    """A site whose trusted proxies are at `TRUSTED`; nothing runs."""
    return await prepared(Site(tmp_path, trusted_proxies=TRUSTED))


async def test_f20_the_address_sealed_and_keyed_is_the_clients_and_never_a_proxys(proxied: Site) -> None:
    """Whichever way the request took, and whoever named an address without being trusted to."""
    async with proxied.running() as door:
        tokens = [await clicked(door, headers, source=peer) for peer, headers, _ in ADDRESSES]
        await proxied.settle()
    rows = [await proxied.row(token) for token in tokens]
    expected = [ip for _, _, ip in ADDRESSES]
    assert [proxied.opened(row).ip or None for row in rows] == expected
    keys = [visitor_key(proxied, ip, row) for ip, row in zip(expected, rows, strict=True)]
    assert [row.visitor_key for row in rows] == keys
    assert visitor_key(proxied, PROXY, rows[0]) not in keys


async def test_f21_hundreds_behind_one_proxy_or_one_carrier_are_all_redirected(proxied: Site) -> None:
    """Nothing counts clicks by address to refuse them: Brazil's phones share theirs."""
    behind_proxy = [[("X-Forwarded-For", f"177.10.{number // 250}.{number % 250}")] for number in range(300)]
    behind_carrier = [[("X-Forwarded-For", CLIENT)]] * 300
    tokens = set()
    async with proxied.running() as door:
        visits = behind_proxy + behind_carrier
        for first in range(0, len(visits), BATCH):
            batch = visits[first : first + BATCH]
            tokens |= set(await asyncio.gather(*(clicked(door, headers) for headers in batch)))
        answers = [await door.start(token, person) for person, token in enumerate(sorted(tokens)[:BATCH], 1)]
    await proxied.settle()
    assert len(tokens) == len(await proxied.rows()) == 600
    assert len({row.visitor_key for row in await proxied.rows()}) == 300
    assert {answer["owner"] for answer in answers} == {True}


async def test_f22_the_fbp_of_a_click_is_the_one_it_came_with_however_often_it_is_read(
    door: Door, site: Site
) -> None:
    """No reading, start, later visit or scoring makes another, so every event has the same."""
    own = "fb.1.1700000000000.1098115397"
    token = await door.click("utm_source=FB", {"Cookie": f"a=b; _fbp={own}; _fbp=fb.1.2.3"})
    await site.settle()
    sealed = (await site.row(token)).sealed
    await door.start(token)
    later = await door.click("utm_source=FB", {"Cookie": "_fbp=fb.1.1800000000000.222"})
    await door.start(later)
    await site.settle()
    assert (await rescore(site)).clicks == 2
    await site.settle()
    row = await site.row(token)
    assert row.sealed == sealed
    assert [site.opened(row).fbp for _ in range(2)] == [own] * 2
    assert site.opened(await site.row(later)).fbp == "fb.1.1800000000000.222"


class Moving(SystemClock):
    """A clock that is set by hand."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


async def test_f23_fbc_holds_the_milliseconds_of_the_click_however_late_it_is_read(tmp_path: Path) -> None:
    """Neither seconds nor the time of the start or the purchase: Meta refuses or cannot match those."""
    clock = Moving(1_772_332_200_123)
    site = await prepared(Site(tmp_path, clock=clock))
    async with site.running() as door:
        token = await door.click(f"fbclid={FBCLID}")
        clock.at_ms += DAY_MS + 1
        await door.start(token)
        await site.settle()
        clock.at_ms += 2 * DAY_MS
        await rescore(site)
    row = await site.row(token)
    assert site.opened(row).fbc == f"fb.1.1772332200123.{FBCLID}"
    assert uuid7_ms(row.id) == row.clicked_at == 1_772_332_200_123
    assert row.started_at == 1_772_332_200_123 + DAY_MS + 1


async def test_f24_two_people_of_one_campaign_and_one_address_stay_two_with_whole_ids(proxied: Site) -> None:
    """A person is a Telegram id as it is; no part of it, and nothing of the ad, stands for anybody."""
    people = [LARGEST_ID, LARGEST_ID - 1]
    query = "utm_source=FB&utm_campaign=Black+Friday|120210&code=BF24"
    async with proxied.running() as door:
        tokens = [await clicked(door, [("X-Forwarded-For", CLIENT)], query=query) for _ in people]
        answers = [await door.start(token, person) for token, person in zip(tokens, people, strict=True)]
        shown = [(await door.api.get(f"/v1/clicks/{token}")).json() for token in tokens]
        await proxied.settle()
    rows = [await proxied.row(token) for token in tokens]
    assert [answer["click"]["id"] for answer in answers] == [str(row.id) for row in rows]
    assert [view["owner"]["telegram_id"] for view in shown] == people
    assert [row.owner_telegram_id for row in rows] == people
    assert {row.telegram_id for row in await proxied.rows(starts)} == set(people)
    assert rows[0].id != rows[1].id
    assert rows[0].ad_key == rows[1].ad_key
    assert len({row.event_id for row in await proxied.rows(outbox)}) == len(people)


async def test_f25_an_ipv4_address_written_as_ipv6_is_the_ipv4_address_everywhere(tmp_path: Path) -> None:
    """A socket for both kinds shows IPv4 visitors and proxies that way; Meta refuses it."""
    bind = Bind(host="::", port=free_port())
    site = await prepared(Site(tmp_path, trusted_proxies=TRUSTED, public_bind=bind))
    spellings = [
        CLIENT,
        MAPPED,
        f"[{MAPPED}]:443",
        MAPPED.upper(),
        "::ffff:b10a:0009",
        f"{MAPPED}, ::ffff:{PROXY}",
    ]
    async with site.running() as door:
        tokens = [await clicked(door, [("X-Forwarded-For", spelling)]) for spelling in spellings]
        direct = await clicked(door, [], source=STRANGER)
        await site.settle()
    rows = [await site.row(token) for token in tokens]
    assert [site.opened(row).ip for row in rows] == [CLIENT] * len(spellings)
    assert {row.visitor_key for row in rows} == {visitor_key(site, CLIENT, rows[0])}
    row = await site.row(direct)
    assert site.opened(row).ip == STRANGER
    assert row.visitor_key == visitor_key(site, STRANGER, row)


async def test_f26_what_a_visit_does_not_say_is_empty_and_nothing_is_made_up_for_it(proxied: Site) -> None:
    """No address, e-mail, cookie or click id is invented, and there is no place for an e-mail at all."""
    bare = f"GET /go/{SLUG} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: unknown\r\nConnection: close\r\n\r\n"
    async with proxied.running() as door:
        token = (await door.raw(bare.encode(), source=PROXY)).token
        asked = await clicked(
            door, [("X-Forwarded-For", "unknown")], query="email=a@b.com&em=a@b.com&ph=55119"
        )
        await door.start(token)
        await proxied.settle()
    assert Original.__struct_fields__ == ("ip", "user_agent", "fbclid", "fbc", "fbp", "referer")
    for row in (await proxied.row(token), await proxied.row(asked)):
        assert proxied.opened(row) == Original()
        assert (row.params, row.language, row.referer_host, row.prefetch) == ({}, "", "", "")
        unknown = (
            "visitor_key",
            "visitor_period",
            "fbclid_key",
            "country",
            "region",
            "city",
            "asn",
            "os",
            "browser",
        )
        assert [getattr(row, name) for name in unknown] == [None] * len(unknown)
    rows = [row for table in (clicks, starts, outbox) for row in await proxied.rows(table)]
    texts = repr([value for row in rows for value in row if not isinstance(value, bytes)])
    assert "@" not in texts
    assert HOST not in texts
