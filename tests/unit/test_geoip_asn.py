"""Networks from CSV: the database made of them says of every address what the ranges say."""

from __future__ import annotations

import random
from pathlib import Path

import maxminddb
import pytest

from cli.geoip_asn import read_ranges, write_mmdb
from daemon.enrich.geo import GeoIp

V4 = [
    '16777216,16777471,13335,"Cloudflare, Inc."',
    "134744064,134744319,15169,Google LLC",
    "134744320,134744330,7,odd",
]
V6 = ["42540766411282592856903984951653826560,42540766490510755371168322545197776895,28573,CLARO"]


def made(tmp_path: Path, *tables: list[str]) -> Path:
    path = tmp_path / "asn.mmdb"
    path.write_bytes(write_mmdb(read_ranges(tables), name="asn", built=1_781_654_400))
    return path


def test_networks_of_both_versions_are_found_and_their_neighbours_are_not(tmp_path: Path) -> None:
    geoip = GeoIp([made(tmp_path, V4, V6)])
    assert geoip.of("8.8.8.0").asn == geoip.of("8.8.8.255").asn == 15169
    assert geoip.of("8.8.9.10").asn == 7
    assert geoip.of("8.8.9.11").asn is None
    assert geoip.of("8.8.7.255").asn is None
    assert geoip.of("1.0.0.9").source == "asn 2026-06"


def test_another_reader_says_the_same_of_random_ranges(tmp_path: Path) -> None:
    chance, table, at = random.Random(11), [], 1 << 24
    for number in range(1, 400):
        at += chance.choice((0, 1, 77, 5000, 1 << 20))
        end = at + chance.choice((0, 1, 255, 300, 65535, 1 << 19))
        table.append((at, end, number))
        at = end + 1
    path = made(tmp_path, [f"{start},{end},{number},x" for start, end, number in table])
    with maxminddb.open_database(str(path)) as oracle:
        for start, end, number in table:
            for address, wanted in ((start, number), (end, number), ((start + end) // 2, number)):
                text = ".".join(map(str, address.to_bytes(4, "big")))
                assert oracle.get(text) == {"autonomous_system_number": wanted}
                assert GeoIp([]).of(text).asn is None
        assert oracle.metadata().build_epoch == 1_781_654_400


def test_of_ranges_that_overlap_the_first_keeps_what_it_has(tmp_path: Path) -> None:
    geoip = GeoIp(
        [made(tmp_path, ["134744064,134744319,1,a", "134744200,134744400,2,b", "134744210,134744220,3,c"])]
    )
    assert [geoip.of(ip).asn for ip in ("8.8.8.200", "8.8.8.255", "8.8.9.0", "8.8.9.80")] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "table",
    [
        [],
        ["a,b,c"],
        ["1,2"],
        ["5,4,1,x"],
        ["-1,4,1,x"],
        ["1,2,4294967296,x"],
        [f"1,{1 << 128},1,x"],
        ["1,2,0,x"],
    ],
)
def test_ranges_that_cannot_be_are_an_error(table: list[str]) -> None:
    with pytest.raises((ValueError, IndexError)):
        read_ranges([table])


def test_a_range_over_everything_is_a_tree_all_the_same(tmp_path: Path) -> None:
    assert GeoIp([made(tmp_path, [f"0,{(1 << 128) - 1},42,x"])]).of("8.8.8.8").asn == 42
