"""Failures in what a click was taken for, and where from. Each test is named for one, and guards against it."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from daemon.worker import work
from tests.daemon_fixture import Door, Site, user_agents
from tests.geo_files import FLAT4, FLAT6, NETWORKS, make_database

IN_APP = {
    "facebook",
    "instagram",
    "threads",
    "metaiab",
    "messenger",
    "fblite",
    "tiktok",
    "telegram",
    "whatsapp",
}
PROGRAMS = {"crawler", "preview", "tool"}
GEO = ("country", "region", "city", "asn", "geo_source")
NETWORK4 = {"177.10.0.0/16": {"autonomous_system_number": 28573}}
UNKNOWN = dict.fromkeys(("country", "region", "city", "asn", "source"))
PROXIED = ["127.0.0.0/8"]
ELSEWHERE = "8.8.4.4"


def forwarded(ip: str) -> dict[str, str]:
    """The header of the trusted proxy that we are."""
    return {"X-Forwarded-For": ip}


async def settled_by_the_worker(site: Site) -> None:
    """All that waits, by `trilha work` itself, told to stop: it settles what is left first."""
    stop = asyncio.Event()
    stop.set()
    await work(site.settings, site.clock, stop)


async def classes(door: Door, agents: list[str]) -> list[Any]:
    """The rows of one click with each of those agents."""
    tokens = [await door.click(headers={"User-Agent": agent}) for agent in agents]
    await door.site.settle()
    return [await door.site.row(token) for token in tokens]


async def test_f27_the_browsers_of_apps_and_phones_of_cubot_are_people_and_programs_are_not(
    door: Door,
) -> None:
    """The paid traffic itself comes in the apps' browsers; only what says that it is a program is one."""
    known = [(kind, agent) for kind, agent in user_agents() if kind in IN_APP | PROGRAMS | {"cubot"}]
    assert {kind for kind, _ in known} == IN_APP | PROGRAMS | {"cubot"}
    rows = await classes(door, [agent for _, agent in known])
    for (kind, agent), row in zip(known, rows, strict=True):
        if kind in PROGRAMS:
            assert row.traffic_class in PROGRAMS, agent
            continue
        from_app = kind in IN_APP or "FB_IAB" in agent
        assert row.traffic_class == ("in_app" if from_app else "human"), agent
        assert (row.automation, row.robot) == (None, None), agent
        assert "says_program" not in {signal for signal, *_ in row.reasons["bot"]}, agent


async def test_f28_instagram_on_android_is_instagram_and_chrome_on_android_is_chrome(door: Door) -> None:
    """Every app's browser on Android also says Chrome."""
    android = [(kind, agent) for kind, agent in user_agents() if "Android" in agent and "Chrome/" in agent]
    instagram = [agent for _, agent in android if "Instagram" in agent]
    chrome = [agent for kind, agent in android if kind == "chrome"]
    assert len(instagram) >= 5
    assert len(chrome) >= 2
    rows = await classes(door, instagram)
    assert {(row.app, row.browser, row.os) for row in rows} == {("Instagram", "Instagram", "Android")}
    rows = await classes(door, chrome)
    assert {(row.app, row.browser, row.os) for row in rows} == {(None, "Chrome", "Android")}


async def places(site: Site, tokens: list[str]) -> list[tuple[Any, ...]]:
    """What SQL says of where those clicks came from."""
    rows = [await site.row(token) for token in tokens]
    return [tuple(getattr(row, name) for name in GEO) for row in rows]


async def test_f46_place_and_network_are_filled_whichever_way_a_click_comes_into_sql(tmp_path: Path) -> None:
    """Settled by the worker or, while the spool was broken, written into SQL by the redirect itself."""
    folder = tmp_path / "geoip"
    folder.mkdir()
    make_database(folder / "city4.mmdb", FLAT4, kind="city4", version=4)
    make_database(folder / "city6.mmdb", FLAT6, kind="city6")
    make_database(folder / "asn.mmdb", NETWORKS | NETWORK4, kind="asn")
    site = Site(tmp_path, trusted_proxies=PROXIED, geoip_paths=[folder])
    await site.prepare()
    site.break_spool()
    async with site.running() as door:
        direct = await door.click(headers=forwarded("177.10.0.9"))
        assert [row.spooled for row in await site.rows()] == [False]
    site.mend_spool()
    async with site.running() as door:
        spooled = [await door.click(headers=forwarded(ip)) for ip in ("177.10.0.9", "2804:14c::1")]
        await settled_by_the_worker(site)
        found = await places(site, spooled)
        await site.settle()
        found += await places(site, [direct])
        shown = [(await door.api.get(f"/v1/clicks/{token}")).json()["geo"] for token in [*spooled, direct]]
        started = (await door.start(direct))["click"]["geo"]
    sul = ("BR", "RS", "Eldorado do Sul", 28573)
    assert [place[:-1] for place in found] == [sul, ("BR", "SP", "Campinas", 28573), sul]
    assert [place[-1].partition(" ")[0] for place in found] == ["city4", "city6", "city4"]
    assert [tuple(geo.values()) for geo in [*shown, started]] == [*found, found[-1]]


class Outbound:
    """Refuses every way out of this machine, as a firewall would, and remembers who was asked."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.asked: list[object] = []
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, self._guarded(getattr(socket.socket, name), argument=1))
        for name in ("getaddrinfo", "gethostbyname"):
            patch.setattr(socket, name, self._guarded(getattr(socket, name), argument=0))

    def _guarded(self, real: Any, *, argument: int) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            at = args[argument]
            host = at[0] if isinstance(at, tuple) else at
            if not _is_local(host):
                self.asked.append(host)
                raise ConnectionRefusedError("nobody out there is asked")
            return real(*args, **more)

        return call


def _is_local(host: object) -> bool:
    """This machine's own: loopback, or a socket's path."""
    if not isinstance(host, str) or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture
def outbound(monkeypatch: pytest.MonkeyPatch) -> Outbound:
    """The guard, which was seen to notice calls that are made on purpose."""
    guard = Outbound(monkeypatch)
    for host in (ELSEWHERE, "geo.example"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, 80), 1)
    with socket.socket() as caller, pytest.raises(ConnectionRefusedError):
        caller.connect((ELSEWHERE, 80))
    assert guard.asked == [ELSEWHERE, "geo.example", ELSEWHERE]
    guard.asked.clear()
    return guard


@pytest.mark.parametrize("database", ["none", "missing", "damaged", "silent"])
async def test_f51_nobody_is_asked_where_a_visitor_is_and_what_no_file_says_is_unknown(
    database: str, tmp_path: Path, outbound: Outbound
) -> None:
    """Neither redirect, start nor settling leaves the machine, and a look-up that fails is nobody's country."""
    path = tmp_path / "city.mmdb"
    if database == "damaged":
        path.write_bytes(b"\xab\xcd\xefMaxMind.com" * 20)
    elif database == "silent":
        make_database(path, {"9.9.0.0/16": FLAT4["9.9.0.0/16"]}, kind="city")
    paths = [] if database == "none" else [path]
    site = Site(tmp_path, trusted_proxies=PROXIED, geoip_paths=paths)
    await site.prepare()
    async with site.running() as door:
        token = await door.click("utm_source=FB", forwarded("177.10.0.9"))
        assert (await door.start(token))["owner"] is True
        await settled_by_the_worker(site)
        await site.settle()
        again = await door.start(token)
        shown = (await door.api.get(f"/v1/clicks/{token}")).json()
    row = await site.row(token)
    assert row.scored_at is not None
    assert {name: getattr(row, name) for name in GEO} == dict.fromkeys(GEO)
    assert again["click"]["geo"] == shown["geo"] == UNKNOWN
    assert outbound.asked == []
