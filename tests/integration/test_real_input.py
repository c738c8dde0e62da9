"""What real visitors and real ads send is what is stored, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
import pytest_asyncio

from domain.click import Ad
from domain.ids import uuid7_ms
from privacy.token import ad_key
from tests.daemon_fixture import SLUG, Door, Site, ad_queries, request_bytes, user_agents

pytestmark = pytest.mark.asyncio(loop_scope="module")
OURS = ("src", "sck", "xcod", "cid", "code")
# What the visitor is, what the trusted proxy's header says.
VISITORS = (
    ("177.95.12.34", "177.95.12.34"),
    ("177.95.12.34", "1.2.3.4, 177.95.12.34, 127.0.0.5"),
    ("177.95.12.34", "garbage, 177.95.12.34:51002"),
    ("189.6.1.2", "::ffff:189.6.1.2"),
    ("2804:14c:65a1:8e1f:1:2:3:4", "2804:14c:65a1:8e1f:1:2:3:4"),
    ("2804:14c::1", "[2804:14C:0:0::1]:443, 127.0.0.9"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxied(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A daemon behind a trusted proxy, which is us."""
    site = Site(tmp_path_factory.mktemp("real"), trusted_proxies=["127.0.0.0/8"])
    await site.prepare()
    async with site.running() as door:
        yield door


@dataclass
class Sent:
    """One request, and what must be stored of it."""

    query: str | bytes
    agent: str
    forwarded: str
    ip: str
    fbp: str = ""
    fbc: str = ""
    referer: str = ""
    token: str = field(default="", repr=False)

    async def send(self, door: Door) -> Sent:
        raw = self.query if isinstance(self.query, bytes) else self.query.encode()
        cookies = "; ".join(f"{n}={v}" for n, v in (("x", "1"), ("_fbp", self.fbp), ("_fbc", self.fbc)) if v)
        headers = {"User-Agent": self.agent, "X-Forwarded-For": self.forwarded, "Cookie": cookies}
        headers |= {"Referer": self.referer} if self.referer else {}
        answer = await door.get(f"/go/{SLUG}?".encode() + raw, headers)
        assert answer.status == 302, (raw, answer.raw)
        self.token = answer.token
        return self


def as_sent(query: str | bytes) -> tuple[dict[str, str], str]:
    """The ad parameters and fbclid of a query, worked out another way than the product does."""
    raw = query if isinstance(query, bytes) else query.encode()
    for name in (b"utm_", b"fbclid=", *(f"{name}=".encode() for name in OURS)):
        raw = raw.replace(b"?" + name, b"&" + name)
    params: dict[str, str] = {}
    for pair in raw.split(b"&"):
        name, _, value = pair.partition(b"=")
        plain = unquote_to_bytes(value.replace(b"+", b" "))
        try:
            decoded = plain.decode()
        except UnicodeDecodeError:
            decoded = plain.decode("latin-1")
        params.setdefault(name.decode().lower(), decoded)
    kept = {n: v[:500] for n, v in params.items() if n.startswith("utm_") or n in OURS}
    return kept, params.get("fbclid", "")


async def stored(door: Door, sent: list[Sent]) -> dict[Any, Any]:
    await asyncio.gather(*(one.send(door) for one in sent))
    await door.site.settle()
    return {row.id: row for row in await door.site.rows()}


async def test_every_user_agent_and_every_ad_query_is_stored_as_it_was_sent(proxied: Door) -> None:
    queries, agents = ad_queries(), user_agents()
    assert len(agents) >= 60
    assert len(queries) >= 30
    sent = [
        Sent(
            query=queries[i % len(queries)],
            agent=agent,
            ip=VISITORS[i % len(VISITORS)][0],
            forwarded=VISITORS[i % len(VISITORS)][1],
            fbp=f"fb.1.17000000000{i:02d}.{i}123456789",
            referer=f"https://l.facebook.com/l.php?u={i}&h=AT{i}",
        )
        for i, (_, agent) in enumerate(agents)
    ]
    rows = await stored(proxied, sent)
    for one in sent:
        ref = proxied.site.read(one.token)
        row, original = rows[ref.id], proxied.site.opened(rows[ref.id])
        params, fbclid = as_sent(one.query)
        assert row.params == params
        assert list(row.params) == list(params)
        assert original.user_agent == one.agent
        assert ip_address(original.ip) == ip_address(one.ip)
        assert original.fbclid == fbclid
        assert original.fbp == one.fbp
        assert original.fbc == (f"fb.1.{uuid7_ms(row.id)}.{fbclid}" if fbclid else "")
        assert original.referer == one.referer
        assert row.referer_host == "l.facebook.com"
        assert ref.ad_key == row.ad_key == ad_key(Ad.of(params))


async def test_nothing_raw_stands_outside_the_sealed_blob(proxied: Door) -> None:
    fbclid = "IwZXh0bgNhZW0B" + "Zq" * 40 + "_aem_Zz"
    sent = Sent(f"fbclid={fbclid}", "Mozilla/5.0 Singular", "179.1.2.3", "179.1.2.3", fbp="fb.1.1.99887766")
    sent.referer = "https://singular.example/path?who=1"
    rows = await stored(proxied, [sent])
    row = rows[proxied.site.read(sent.token).id]
    everything = repr([bytes(v) if isinstance(v, bytes) else v for v in row])
    for raw in (fbclid, "Singular", "179.1.2.3", "99887766", "who=1"):
        assert raw not in everything


@pytest.mark.parametrize("length", [61, 62, 64, 120, 160, 200, 220, 511])
async def test_an_fbclid_of_any_real_length_is_kept_whole(proxied: Door, length: int) -> None:
    fbclid = ("IwZXh0bgNhZW0BMA_aem_" + "aB3-_" * 110)[:length]
    sent = Sent(f"fbclid={fbclid}", "x", "179.1.2.3", "179.1.2.3")
    rows = await stored(proxied, [sent])
    original = proxied.site.opened(rows[proxied.site.read(sent.token).id])
    assert original.fbclid == fbclid
    assert original.fbc.endswith("." + fbclid)


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("utm_campaign=Nome|1202&utm_term=a%7Cb", {"utm_campaign": "Nome|1202", "utm_term": "a|b"}),
        ("utm_campaign=Black%20Friday+50%25", {"utm_campaign": "Black Friday 50%"}),
        ("utm_campaign=Promo%C3%A7%C3%A3o", {"utm_campaign": "Promoção"}),
        ("utm_campaign={{campaign.id}}", {"utm_campaign": "{{campaign.id}}"}),
        ("src=abc?utm_source=FB", {"src": "abc", "utm_source": "FB"}),
        ("?utm_source=FB", {"utm_source": "FB"}),
        ("utm_source=what%3F?no", {"utm_source": "what??no"}),
        ("utm_term=%2541", {"utm_term": "%41"}),
        ("utm_term=a&utm_term=b", {"utm_term": "a"}),
        ("utm_term=%00x", {"utm_term": "\ufffdx"}),
        ("utm_source=FB&ip=1.2.3.4&id=9", {"utm_source": "FB"}),
    ],
)
async def test_odd_spellings_are_decoded_once(
    proxied: Door, query: str | bytes, params: dict[str, str]
) -> None:
    sent = Sent(query, "x", "179.1.2.3", "179.1.2.3")
    rows = await stored(proxied, [sent])
    assert rows[proxied.site.read(sent.token).id].params == params


async def test_the_visitors_own_fbc_cookie_wins_when_it_is_of_this_click(proxied: Door) -> None:
    own = "fb.1.1700000000000.IwAR1same"
    same = Sent("fbclid=IwAR1same", "x", "179.1.2.3", "179.1.2.3", fbc=own)
    other = Sent("fbclid=IwAR1other", "x", "179.1.2.3", "179.1.2.3", fbc=own)
    none = Sent("utm_source=FB", "x", "179.1.2.3", "179.1.2.3", fbc=own)
    rows = await stored(proxied, [same, other, none])
    found = [rows[proxied.site.read(one.token).id] for one in (same, other, none)]
    fbcs = [proxied.site.opened(row).fbc for row in found]
    assert fbcs == [own, f"fb.1.{uuid7_ms(found[1].id)}.IwAR1other", own]


async def test_an_address_named_by_an_untrusted_peer_is_not_believed(site: Site) -> None:
    assert site.settings.trusted_proxies == ()
    async with site.running() as door:
        answer = await door.get(headers={"X-Forwarded-For": "8.8.8.8"}, source="127.0.0.3")
        await site.settle()
        assert site.opened(await site.row(answer.token)).ip == "127.0.0.3"


async def test_garbage_from_a_trusted_proxy_gives_no_address_rather_than_the_proxys(proxied: Door) -> None:
    garbage = ["<script>", "unknown", "", ",", "fe80::1%25eth0", "1.2.3.4.5"]
    sent = [Sent("", "x", forwarded, "") for forwarded in garbage]
    rows = await stored(proxied, sent)
    found = [rows[proxied.site.read(one.token).id] for one in sent]
    assert [proxied.site.opened(row).ip for row in found] == [""] * len(garbage)
    assert [row.visitor_key for row in found] == [None] * len(garbage)


async def test_an_ad_url_pasted_with_its_accents_unescaped_is_a_click_like_any_other(proxied: Door) -> None:
    """The server's parser would refuse the bytes with 400: a paid click lost. They are escaped before it sees them."""
    answer = await proxied.raw(request_bytes(f"/go/{SLUG}?utm_campaign=Promoção|120210".encode()))
    assert answer.status == 302
    await proxied.site.settle()
    assert (await proxied.site.row(answer.token)).params == {"utm_campaign": "Promoção|120210"}
