"""Whatever is in a file: reading it ends, raises nothing but Damaged, and never ends the process."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from daemon.enrich.geo import Database, GeoIp
from daemon.enrich.mmdb import MARKER, Damaged, Metadata, Values
from tests.geo_files import FLAT4, NESTED, NETWORKS, make_database

ADDRESSES = ["177.10.0.1", "200.147.3.157", "8.8.8.8", "157.240.1.1", "2804:14c::1", "2804:14d::1", "1.2.3.4"]
ROUNDS = 1000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("geo") / "whole.mmdb"
    return make_database(path, FLAT4 | NESTED | NETWORKS, kind="GeoLite2-City").read_bytes()


def harm(whole: bytes, chance: random.Random) -> bytes:
    """Some bytes flipped, a piece cut off or out, or a piece overwritten."""
    data = bytearray(whole)
    kind = chance.randrange(4)
    if kind == 0:
        for _ in range(chance.choice((1, 3, 30, 300))):
            data[chance.randrange(len(data))] = chance.randrange(256)
    elif kind == 1:
        del data[chance.randrange(len(data)) :]
    elif kind == 2:
        start = chance.randrange(len(data))
        del data[start : start + chance.randrange(1, 200)]
    else:
        start = chance.randrange(max(1, len(data) - 500), len(data))  # metadata and the data before it
        data[start : start + 8] = chance.randbytes(8)
    return bytes(data)


@pytest.mark.parametrize("start", range(0, ROUNDS, 50))
def test_a_harmed_file_is_refused_or_answers_what_it_can(tmp_path: Path, whole: bytes, start: int) -> None:
    path = tmp_path / "harmed.mmdb"
    for seed in range(start, start + 50):
        path.write_bytes(harm(whole, random.Random(seed)))
        geoip = GeoIp([path])
        for ip in ADDRESSES:
            geo = geoip.of(ip)
            assert geo.country is None or len(geo.country) == 2, seed
        [told] = geoip.describe()
        assert told.state in {"in use", "damaged"}, seed


def test_damage_that_the_try_out_missed_is_an_unknown_and_is_counted(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "_try_out", lambda _self: "nested")
    path = tmp_path / "x.mmdb"
    at = whole.find(b"Eldorado do Sul")
    path.write_bytes(whole[:at] + b"\xff" * 15 + whole[at + 15 :])
    geoip = GeoIp([path])
    assert geoip.of("177.10.0.1").country is None
    assert geoip.of("200.147.3.157").country == "BR"
    assert [item.failures for item in geoip.describe()] == [1]


def test_the_try_out_finds_a_text_that_is_none(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "x.mmdb"
    at = whole.find(b"Eldorado do Sul")
    path.write_bytes(whole[:at] + b"\xff" * 15 + whole[at + 15 :])
    assert [item.problem for item in GeoIp([path]).describe()] == ["a text is not UTF-8"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x20\x00",  # a pointer to itself
        b"\xe1\x20\x00\x20\x00",  # a map whose key is a pointer to the map
        b"\xff\xff\xff\xff",  # a map of sixteen million
        b"\xe1\x41a" + b"\xfd\xff" * 40,  # maps in maps in maps
        b"\xe2\x41a\x5f\xff\xff\xff",  # a text of sixteen million
        b"\xe1\x41a\x38\xff\xff\xff\xff\xe0",  # a pointer far behind the end
        b"\xe1\x80\x41a",  # a key of bytes
        b"\xe1",
        b"\x00",
        b"",
    ],
)
def test_values_that_lead_nowhere_or_in_circles_have_an_end(data: bytes) -> None:
    values = Values(data, 0)
    reads = (
        lambda: [(values.text(at), values.fields(at)) for at in values.fields(0).values()],
        lambda: values.number(0) or values.first(0),
    )
    for read in reads:
        with contextlib.suppress(Damaged):
            assert not read()


def test_a_tree_that_goes_in_circles_ends(tmp_path: Path, whole: bytes) -> None:
    """Every node points to the first one: an address runs out of bits before it arrives."""
    meta = Metadata(whole)
    tree = bytes(meta.nodes * meta.record_bits // 4)
    path = tmp_path / "x.mmdb"
    path.write_bytes(tree + whole[len(tree) :])
    [told] = GeoIp([path]).describe()
    assert told.state == "damaged"
    assert told.problem == "its tree is deeper than an address"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"node_count", b"\xc4\xff\xff\xff\xff"), (b"node_count", b"\xc0"), (b"record_size", b"\xa1\x1d"),
        (b"ip_version", b"\xa1\x05"), (b"binary_format_major_version", b"\xa1\x03"), (b"ip_version", b"\x41x"),
    ],
)  # fmt: skip
def test_metadata_that_cannot_be_are_damage(name: bytes, value: bytes) -> None:
    fields = {
        b"node_count": b"\xc1\x01", b"record_size": b"\xa1\x18", b"ip_version": b"\xa1\x04",
        b"build_epoch": b"\x01\x02\x01", b"binary_format_major_version": b"\xa1\x02",
    } | {name: value}  # fmt: skip
    body = b"".join(bytes((0x40 | len(key),)) + content for key, content in fields.items())
    data = bytes(22) + MARKER + bytes((0xE0 | len(fields),)) + body
    with pytest.raises(Damaged):
        Metadata(data)
