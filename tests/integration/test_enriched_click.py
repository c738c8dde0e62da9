"""A click over HTTP, settled with a GeoIP database, looked at through the API, and scored again by `trilha rescore`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest_asyncio

from backends.sql.ledger import SqlLedger
from chaos.servers import HOST
from privacy.keyring import Keyring
from tests.daemon_fixture import Door, Site
from tests.geo_files import FLAT4, NETWORKS, make_database
from tests.making import person_key

ROOT = Path(__file__).parents[2]
HOME, CLOUD = "179.123.45.67", "18.1.2.3"
INSTAGRAM = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B91"
    " Instagram 361.0.0.35.82 (iPhone15,4; iOS 18_1_1; pt_BR; pt; scale=3.00; 1179x2556; 674117118)"
)
CHROME = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
AD = "fbclid=IwAR0synthetic&utm_source=fb"


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> Site:
    """Behind a proxy on this machine, with places and networks in a folder of its own."""
    geoip = tmp_path / "geoip"
    geoip.mkdir()
    make_database(geoip / "place.mmdb", FLAT4, kind="dbip-city", version=4)
    hosting = {"18.0.0.0/8": {"autonomous_system_number": 16509}}
    make_database(geoip / "asn.mmdb", NETWORKS | hosting, kind="asn-table")
    made = Site(tmp_path, trusted_proxies=(ip_network(f"{HOST}/32"),), geoip_paths=(geoip,))
    await made.prepare()
    return made


@pytest_asyncio.fixture
async def door(site: Site) -> AsyncIterator[Door]:
    async with site.running() as running:
        yield running


async def visit(door: Door, agent: str = INSTAGRAM, ip: str = HOME, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await door.click(AD, {"User-Agent": agent, "X-Forwarded-For": ip} | named)


async def look(door: Door, token: str) -> Any:
    answer = await door.api.get(f"/v1/clicks/{token}")
    assert answer.status_code == 200
    return answer.json()


async def trilha(site: Site, *words: str, code: int = 0) -> str:
    """What a real `trilha` prints, on this site's stores."""
    environment = os.environ | {
        "TRILHA_HOME_DIR": str(site.settings.home_dir),
        "TRILHA_SQL_URL": site.settings.sql,
        "TRILHA_GEOIP_PATHS": ",".join(map(str, site.settings.geoip_paths)),
    }
    command = [sys.executable, "-m", "cli.main", *words]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate()
    assert process.returncode == code, err.decode()
    assert not [raw for raw in (HOME, "IwAR0", "Mozilla") if raw in (out + err).decode()]
    return out.decode() if code == 0 else err.decode()


async def rescored(site: Site, *words: str) -> Any:
    return json.loads(await trilha(site, "rescore", "--json", *words))


async def test_a_click_shows_nothing_added_before_it_is_settled_and_all_of_it_afterwards(
    door: Door, site: Site
) -> None:
    token = await visit(door)
    before = await look(door, token)
    assert [before[name] for name in ("geo", "agent", "class", "evidence", "tentative", "scores")] == [
        None, None, "unknown", [], None, None,
    ]  # fmt: skip
    await site.settle()
    shown = await look(door, token)
    source = shown["geo"].pop("source")
    assert source.startswith("dbip-city ")
    assert shown["geo"] == {"country": "BR", "region": "SP", "city": "Sao Paulo", "asn": None}
    assert shown["agent"] == {
        "device": "phone", "os": "iOS", "os_version": "18", "browser": "Instagram", "browser_version": "361",
        "app": "Instagram", "automation": None, "robot": None,
    }  # fmt: skip
    assert (shown["class"], shown["evidence"], shown["tentative"]) == ("in_app", ["agent:instagram"], False)
    assert shown["scores"]["bot"] == shown["scores"]["fraud"] == {"points": 0, "reasons": []}
    assert (shown["scores"]["baseline_bot"], shown["scores"]["baseline_fraud"] % 20) == (0, 0)
    text = json.dumps(shown)
    assert not [raw for raw in (HOME, "179.123", "IwAR0", "Mozilla") if raw in text]


async def test_a_crawler_and_a_server_are_redirected_like_anybody_and_classed(door: Door, site: Site) -> None:
    """A class is written down; no answer depends on it."""
    kinds = {}
    shapes = set()
    for agent, ip in ((INSTAGRAM, HOME), (GOOGLEBOT, "8.8.8.8"), (CHROME, CLOUD), ("", HOME)):
        answer = await door.get(headers={"User-Agent": agent, "X-Forwarded-For": ip})
        shapes.add((answer.status, tuple(name for name, _ in answer.headers), answer.body))
        kinds[answer.token] = agent
    assert len(shapes) == 1
    assert next(iter(shapes))[0] == 302
    await site.settle()
    shown = [await look(door, token) for token in kinds]
    assert [click["class"] for click in shown] == ["in_app", "crawler", "datacenter", "unknown"]
    assert [click["scores"]["bot"]["points"] for click in shown] == [0, 80, 25, 50]
    assert shown[1]["scores"]["bot"]["reasons"] == [
        {"signal": "says_program", "weight": 80, "evidence": "user agent of a crawler"}
    ]
    owner = await door.start(next(token for token, agent in kinds.items() if agent == GOOGLEBOT))
    assert owner["owner"]


async def test_a_prefetched_click_is_tentative_until_its_token_is_redeemed(door: Door, site: Site) -> None:
    token, other = [await visit(door, Sec_Purpose="prefetch;prerender") for _ in range(2)]
    await site.settle()
    first = await look(door, token)
    assert (first["class"], first["tentative"]) == ("prefetch", True)
    await door.start(token)
    await site.settle()
    then = await look(door, token)
    assert (then["class"], then["tentative"], then["owner"]["telegram_id"]) == ("in_app", False, 7)
    assert then["evidence"] == ["agent:instagram", "prefetch:sec-purpose", "redeemed"]
    assert (await look(door, other))["class"] == "prefetch"


async def test_a_start_right_after_the_click_and_a_second_person_are_in_the_scores(
    door: Door, site: Site
) -> None:
    token = await visit(door)
    for person in (1, 2, 3):
        await door.start(token, person)
    await site.settle()
    fraud = (await look(door, token))["scores"]["fraud"]
    names = [reason["signal"] for reason in fraud["reasons"]]
    assert names[0] == "token_of_some"
    assert names[1] in {"instant_start", "fast_start"}
    await door.start(token, 4)
    await site.settle()
    assert (await look(door, token))["scores"]["fraud"]["reasons"][0]["evidence"] == "4 people on one token"


async def test_an_answer_to_a_start_shows_what_was_added(door: Door, site: Site) -> None:
    token = await visit(door)
    await site.settle()
    click = (await door.start(token))["click"]
    assert (click["class"], click["geo"]["region"], click["agent"]["app"]) == ("in_app", "SP", "Instagram")


async def test_an_erased_click_shows_nothing_that_was_added(door: Door, site: Site) -> None:
    token = await visit(door)
    await door.start(token)
    await site.settle()
    async with site.engine() as engine:
        await SqlLedger(engine, person_key).discard(site.read(token).id)
    await site.settle()
    text = (await door.api.get(f"/v1/clicks/{token}")).text
    assert not [seen for seen in ("Sao Paulo", "Instagram", "in_app") if seen in text]


async def test_a_new_database_fills_places_by_rescore_and_a_second_run_changes_nothing(
    door: Door, site: Site
) -> None:
    """The prefetch of a minute ago still waits; moves are told by class, and progress stays out of the JSON."""
    (geoip,) = site.settings.geoip_paths
    files = {file.name: file.read_bytes() for file in geoip.iterdir()}
    for file in geoip.iterdir():
        file.unlink()
    tokens = [
        await visit(door),
        await visit(door, CHROME, CLOUD),
        await visit(door, Sec_Purpose="prefetch"),
    ]
    await site.settle()
    assert [(await look(door, token))["geo"]["country"] for token in tokens] == [None] * 3
    assert await rescored(site) == {"clicks": 3, "changed": 0, "moved": []}
    for name, content in files.items():
        (geoip / name).write_bytes(content)
    assert await rescored(site) == {
        "clicks": 3,
        "changed": 3,
        "moved": [{"from": "human", "to": "datacenter", "clicks": 1}],
    }
    rows = await site.rows()
    shown = [await look(door, token) for token in tokens]
    assert [(click["geo"]["region"], click["class"], click["tentative"]) for click in shown] == [
        ("SP", "in_app", False),
        (None, "datacenter", False),
        ("SP", "prefetch", True),
    ]
    assert await rescored(site) == {"clicks": 3, "changed": 0, "moved": []}
    assert await trilha(site, "rescore") == "clicks scored: 3, changed: 0\n"
    assert await site.rows() == rows


async def test_rescore_keeps_what_was_read_once_the_keys_are_destroyed(door: Door, site: Site) -> None:
    """I14: afterwards what was derived is all there is, and it does not fade with another run."""
    token = await visit(door)
    await site.settle()
    before = await look(door, token)
    Keyring(site.settings.secrets, site.clock).destroy_before(site.clock.now_ms() // 86_400_000 + 1)
    assert await rescored(site) == {"clicks": 1, "changed": 0, "moved": []}
    assert await look(door, token) == before


async def test_rescore_says_what_moved_in_words_and_looks_no_further_back_than_told(
    door: Door, site: Site
) -> None:
    await visit(door)
    await site.settle()
    await site.execute("UPDATE clicks SET traffic_class = 'human', city = NULL")
    assert await rescored(site, "--since", "0m") == {"clicks": 0, "changed": 0, "moved": []}
    said = await trilha(site, "rescore", "--since", "30000d")
    assert said == "clicks scored: 1, changed: 1\n  human -> in_app: 1\n"


async def test_rescore_of_nothing_says_so_and_mistakes_are_sentences(site: Site, tmp_path: Path) -> None:
    assert await trilha(site, "rescore") == "no clicks since then\n"
    assert await rescored(site, "--since", "1h") == {"clicks": 0, "changed": 0, "moved": []}
    for wrong in ("yesterday", "7", "d", "-1d", "²d", "9999999d", "9" * 30 + "d"):
        said = await trilha(site, "rescore", "--since", wrong, code=2)
        assert "Traceback" not in said
    await site.execute("DROP TABLE clicks")
    assert "trilha migrate" in await trilha(site, "rescore", code=3)
