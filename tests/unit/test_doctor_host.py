"""What `trilha doctor` says of a machine."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

import pytest

from cli import doctor_host
from cli.doctor_host import FILES, ROOM, Trouble, host, synchronised
from runtime.settings import Settings, load_settings


def given(tmp_path: Path, **settings: str) -> Settings:
    values = {"home_dir": str(tmp_path), **settings}
    return load_settings({f"TRILHA_{name.upper()}": value for name, value in values.items()})


def one(found: object, verdict: str, *words: str) -> None:
    """There is exactly one trouble, of that verdict, with these words."""
    (trouble,) = found  # type: ignore[misc]
    said: Trouble = trouble
    assert said[0] == verdict
    assert all(word in said[1] for word in words), said


def test_a_process_of_root_is_warned_of_and_no_other() -> None:
    one(doctor_host.of_user(0), "warning", "root")
    assert not [*doctor_host.of_user(1000)]


def test_a_quota_is_warned_of_when_the_disk_has_no_room_for_it(tmp_path: Path) -> None:
    assert not [*doctor_host.of_disk(given(tmp_path, spool_quota="1MiB"))]
    whole = str(shutil.disk_usage(tmp_path).free)
    one(doctor_host.of_disk(given(tmp_path, spool_quota=whole)), "warning", "TRILHA_SPOOL_QUOTA")


def test_what_the_spools_have_is_no_room_that_they_still_need(tmp_path: Path) -> None:
    settings = given(tmp_path, spool_quota=str(shutil.disk_usage(tmp_path).free - ROOM // 2))
    assert [*doctor_host.of_disk(settings)]
    settings.spools.mkdir()
    with (settings.spools / "cache.db").open("wb") as sparse:
        sparse.truncate(2 * ROOM)
    assert not [*doctor_host.of_disk(settings)]


def test_a_disk_that_is_all_but_full_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(doctor_host.shutil, "disk_usage", lambda _place: usage._replace(free=ROOM - 1))
    one(doctor_host.of_disk(given(tmp_path, spool_quota="1MiB")), "failed", "free the disk")


def test_too_few_files_are_warned_of_where_no_unit_gives_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_host, "_under_systemd_units", lambda: False)
    one(doctor_host.of_files(FILES - 1), "warning", "ulimit")
    assert not [*doctor_host.of_files(FILES)]
    assert not [*doctor_host.of_files(resource.RLIM_INFINITY)]
    monkeypatch.setattr(doctor_host, "_under_systemd_units", lambda: True)
    assert not [*doctor_host.of_files(FILES - 1)]


def test_a_clock_that_nobody_keeps_or_of_which_nothing_is_known_is_warned_of() -> None:
    one(doctor_host.of_clock(kept=False), "warning", "timedatectl set-ntp")
    one(doctor_host.of_clock(kept=None), "warning", "timedatectl")
    assert not [*doctor_host.of_clock(kept=True)]


def test_a_clock_is_kept_where_the_time_service_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_host, "SYNCHRONISED", tmp_path / "synchronized")
    assert synchronised() in {True, False, None}
    (tmp_path / "synchronized").touch()
    assert synchronised() is True


@pytest.mark.parametrize(("mode", "closed"), [(0o600, True), (0o640, False), (0o604, False)])
def test_a_secret_that_others_may_read_has_failed(tmp_path: Path, mode: int, closed: bool) -> None:
    secret = tmp_path / "keyring.json"
    secret.touch()
    secret.chmod(mode)
    found = [*doctor_host.of_owners([secret, tmp_path / "absent"], os.geteuid())]
    if closed:
        assert not found
    else:
        one(found, "failed", f"chmod 600 {secret}")


def test_a_secret_of_another_user_has_failed_except_at_roots_hand(tmp_path: Path) -> None:
    secret = tmp_path / "keyring.json"
    secret.touch(mode=0o600)
    one(doctor_host.of_owners([secret], os.geteuid() + 1), "failed", "chown")
    assert not [*doctor_host.of_owners([secret], 0)]


@pytest.mark.parametrize("name", ["private_bind", "dashboard_bind", "bot_bind", "work_bind"])
def test_a_private_listener_that_other_machines_reach_is_warned_of(tmp_path: Path, name: str) -> None:
    one(doctor_host.of_binds(given(tmp_path, **{name: "0.0.0.0:9000"})), "warning", f"TRILHA_{name.upper()}")
    assert not [*doctor_host.of_binds(given(tmp_path, **{name: "[::1]:9000"}))]


def test_the_public_listener_may_be_reached_from_anywhere(tmp_path: Path) -> None:
    assert not [*doctor_host.of_binds(given(tmp_path, public_bind="0.0.0.0:8080"))]


def test_https_without_a_trusted_proxy_is_warned_of(tmp_path: Path) -> None:
    https = {"public_url": "https://go.example.com"}
    one(doctor_host.of_proxy(given(tmp_path, **https)), "warning", "TRILHA_TRUSTED_PROXIES")
    assert not [*doctor_host.of_proxy(given(tmp_path, **https, trusted_proxies="127.0.0.1/32"))]
    assert not [*doctor_host.of_proxy(given(tmp_path))]


def test_a_short_queue_of_the_kernel_is_warned_of() -> None:
    one(doctor_host.of_queue(128), "warning", "net.core.somaxconn")
    assert not [*doctor_host.of_queue(4096)]
    assert not [*doctor_host.of_queue(None)]


async def test_the_worst_of_all_is_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_host, "synchronised", lambda: None)
    settings = given(tmp_path, spool_quota="1MiB")
    tmp_path.chmod(0o700)
    assert (await host(settings)).verdict == "warning"
    tmp_path.chmod(0o755)
    assert (await host(settings)).verdict == "failed"
    monkeypatch.setattr(doctor_host, "troubles", lambda _given: iter(()))
    assert (await host(settings)).verdict == "ok"
