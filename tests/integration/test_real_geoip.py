"""The real databases, fetched from npm: what is said of addresses that do not move.

They are fetched once a version, into a folder of the user's cache. Without the registry these tests fail: a database
that nobody can fetch any more is what they are there to notice.
"""

from __future__ import annotations

import ipaddress
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import process_time

import httpx2
import maxminddb
import pytest

from cli.geoip_fetch import SOURCES, Source, fetch, find_release
from daemon.enrich.geo import GeoIp
from daemon.enrich.networks import HOSTING, META
from domain.clock import SystemClock
from runtime.settings import load_settings

CACHE = Path.home() / ".cache" / "trilha-geoip"
PLACES: dict[str, dict[Source, tuple[str, str | None]]] = {
    # address: country and UF by database; a UF of None: that database says the country only
    "179.123.45.67": {"dbip": ("BR", "SP"), "geolite2": ("BR", None)},
    "200.147.3.157": {"dbip": ("BR", "RJ"), "geolite2": ("BR", None)},
    "177.10.0.1": {"dbip": ("BR", "RS"), "geolite2": ("BR", "RS")},
    "2804:14c::1": {"dbip": ("BR", "SP"), "geolite2": ("BR", "SP")},
}
CITIES: dict[Source, dict[str, str]] = {
    "dbip": {"179.123.45.67": "Sao Paulo", "200.147.3.157": "Rio de Janeiro", "177.10.0.1": "Eldorado do Sul",
             "2804:14c::1": "Sao Paulo"},
    "geolite2": {"177.10.0.1": "Novo Hamburgo", "2804:14c::1": "Sao Paulo"},
}  # fmt: skip
COUNTRIES = {
    "200.160.2.3": "BR", "200.192.232.8": "BR", "143.107.1.1": "BR", "150.165.1.1": "BR", "189.6.1.1": "BR",
    "187.10.1.1": "BR", "201.6.1.1": "BR", "2804:18::1": "BR", "2804:7f0::1": "BR", "8.8.8.8": "US", "12.0.1.1": "US",
    "18.0.0.1": "US", "193.136.1.1": "PT", "85.240.1.1": "PT", "190.210.1.1": "AR", "133.11.1.1": "JP",
    "129.187.1.1": "DE", "163.1.1.1": "GB", "2001:200::1": "JP", "2601::1": "US",
}  # fmt: skip
NETWORKS = {
    "8.8.8.8": 15169, "1.1.1.1": 13335, "157.240.12.35": META, "31.13.66.35": META, "2804:14c::1": 28573,
    "200.160.2.3": 22548, "143.107.1.1": 28571, "95.216.1.1": 24940, "51.75.1.1": 16276, "165.227.1.1": 14061,
    "54.232.1.1": 16509, "20.40.1.1": 8075, "45.33.1.1": 63949,
}  # fmt: skip
SERVERS = ("95.216.1.1", "51.75.1.1", "165.227.1.1", "54.232.1.1", "20.40.1.1", "45.33.1.1")


def registry() -> str:
    """The registry of this machine: as npm was told, else as npm says, else the public one."""
    told = {name.lower(): value for name, value in os.environ.items()}
    named = told.get("trilha_npm_registry") or told.get("npm_config_registry")
    npm = shutil.which("npm")
    if not named and npm:
        asked = subprocess.run([npm, "config", "get", "registry"], capture_output=True, text=True, cwd="/")
        named = asked.stdout.strip() if asked.stdout.startswith("http") else None
    return (named or load_settings({}).npm_registry).rstrip("/")


def fetched(source: Source) -> Path:
    """The folder of the newest databases of a source, fetched if this machine has not got them."""
    where = registry()
    with httpx2.Client(timeout=30) as client:
        versions = [find_release(client, package, where).version for package in SOURCES[source]]
    folder = CACHE / f"{source}-{'-'.join(versions)}"
    if not folder.exists():
        draft = folder.with_name(f"{folder.name}.{os.getpid()}")
        fetch(source, draft, where, SystemClock())
        if not folder.exists():
            draft.rename(folder)
    return folder


@pytest.fixture(scope="module", params=["dbip", "geolite2"])
def source(request: pytest.FixtureRequest) -> Source:
    return request.param


@pytest.fixture(scope="module")
def folder(source: Source) -> Path:
    return fetched(source)


@pytest.fixture(scope="module")
def geoip(folder: Path) -> GeoIp:
    return GeoIp([folder])


def test_all_three_databases_are_in_use_and_name_their_month(geoip: GeoIp, source: Source) -> None:
    found = geoip.describe()
    assert [item.state for item in found] == ["in use"] * 3, found
    assert sorted(item.schema for item in found) == ["asn", "flat", "flat"]
    assert str(geoip.of("177.10.0.1").source).startswith(f"{source}-city 20")


@pytest.mark.parametrize("ip", PLACES)
def test_the_samples_are_where_each_database_has_them(geoip: GeoIp, source: Source, ip: str) -> None:
    geo = geoip.of(ip)
    assert (geo.country, geo.region) == PLACES[ip][source]
    assert geo.city == CITIES[source].get(ip)


def test_well_known_addresses_are_in_their_countries(geoip: GeoIp) -> None:
    assert {ip: geoip.of(ip).country for ip in COUNTRIES} == COUNTRIES


def test_well_known_addresses_are_in_their_networks(geoip: GeoIp) -> None:
    assert {ip: geoip.of(ip).asn for ip in NETWORKS} == NETWORKS
    assert all(geoip.of(ip).asn in HOSTING for ip in SERVERS)
    assert geoip.of("2804:14c::1").asn not in HOSTING


def addresses(count: int) -> list[str]:
    """IPv4 from what is given out, and IPv6 from large networks' prefixes; three of the former to one of the latter."""
    chance = random.Random(20)
    six = (0x2804, 0x2600, 0x2A02, 0x2400, 0x2001)
    return [
        str(ipaddress.IPv6Address(chance.choice(six) << 112 | chance.getrandbits(112)))
        if number % 4 == 0
        else str(ipaddress.IPv4Address(chance.randrange(1 << 24, 223 << 24)))
        for number in range(count)
    ]


def test_every_region_of_brazil_is_a_uf(geoip: GeoIp) -> None:
    chance = random.Random(5)
    prefixes = [131, 138, 143, 152, 168, 170, 177, 179, 186, 187, 189, 191, 200, 201]
    found = [
        geoip.of(f"{chance.choice(prefixes)}.{chance.randrange(256)}.{chance.randrange(256)}.1")
        for _ in range(30_000)
    ]
    regions = {geo.region for geo in found if geo.country == "BR"} - {None}
    assert len(regions) == 27
    assert all(len(str(region)) == 2 for region in regions), regions


def test_it_says_what_the_formats_own_reader_says(geoip: GeoIp, folder: Path) -> None:
    [cities4] = folder.glob("*-ipv4.mmdb")
    [cities6] = folder.glob("*-ipv6.mmdb")
    readers = [maxminddb.open_database(str(path)) for path in (cities4, cities6, folder / "asn.mmdb")]
    for ip in addresses(20_000):
        geo, number = geoip.of(ip), ipaddress.ip_address(ip)
        record = readers[":" in ip].get(ip)
        network = readers[2].get(ip)
        if not number.is_global:
            continue
        country = record["country_code"] if isinstance(record, dict) else ""
        assert geo.country == (None if country in {"", "ZZ"} else country), ip
        if geo.country:
            assert isinstance(record, dict)
            assert geo.city == (str(record["city"])[:120].strip() or None), ip
        assert geo.asn == (network["autonomous_system_number"] if isinstance(network, dict) else None), ip
    for reader in readers:
        reader.close()


def test_place_and_network_take_no_longer_than_the_formats_own_python_reader_for_the_place_alone(
    folder: Path,
) -> None:
    """Why there is a reader of our own (ADR 0018), in one run on the same addresses."""
    geoip, ips = GeoIp([folder]), addresses(20_000)
    [cities] = folder.glob("*-city-ipv4.mmdb")
    with maxminddb.open_database(str(cities), maxminddb.MODE_MMAP) as library:
        numbers = [ip for ip in ips if ":" not in ip]
        theirs = _seconds(library.get, numbers)
    ours = _seconds(geoip.of, numbers)
    print(
        f"{ours / len(numbers) * 1e6:.1f} us a look-up of ours, {theirs / len(numbers) * 1e6:.1f} of theirs"
    )
    assert ours < theirs


def _seconds(look_up: Callable[[str], object], ips: list[str]) -> float:
    start = process_time()
    for ip in ips:
        look_up(ip)
    return process_time() - start
