"""The access log: what was accessed can be read until its day is over its time, by whoever has its keys, and by nobody else."""

from __future__ import annotations

import json
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from cli.access_log import access_log
from domain.click import Visit
from domain.clock import ManualClock
from domain.errors import ConfigError, StoreUnavailable
from privacy.access_log import KEEP_DAYS, Access, AccessLog, accesses
from privacy.keyring import PERIOD_MS, Keyring
from privacy.pseudonymise import Pseudonymiser
from privacy.seal import Sealer
from tests.making import NOW, bare_click, new_id

EVER = 1 << 47
IPS = ("203.0.113.9", "2001:db8:1:2::77", "198.51.100.200", "::ffff:0:1")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(now_ms=NOW)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def log(home: Path, clock: ManualClock) -> AccessLog:
    return opened(home, clock)


def opened(home: Path, clock: ManualClock) -> AccessLog:
    return AccessLog(home / "access-log", home / "secrets" / "access-log.json", clock)


def at(ms: int = NOW, ip: str = IPS[0]) -> Access:
    return Access(click_id=new_id(ms), ip=ip)


def plain(ip: str) -> Any:
    """An IPv4 address that is mapped into IPv6 is taken for what it is."""
    address = ip_address(ip)
    return getattr(address, "ipv4_mapped", None) or address


def everything(log: AccessLog) -> list[Access]:
    return list(log.read(0, EVER))


def files(home: Path) -> list[Path]:
    return sorted((home / "access-log").glob("*.log"))


@given(found=st.lists(st.tuples(st.integers(-100, 100), st.ip_addresses()), max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_what_was_appended_is_read_back_by_time(tmp_path_factory: Any, found: list[Any]) -> None:
    log = opened(tmp_path_factory.mktemp("home"), ManualClock(now_ms=NOW))
    records = [at(NOW + hours * 3_600_000, str(ip)) for hours, ip in found]
    assert log.append(records) == len(records)
    again = everything(log)
    wanted = sorted(records, key=lambda record: record.click_id)
    assert [(r.click_id, ip_address(r.ip)) for r in again] == [(r.click_id, plain(r.ip)) for r in wanted]
    assert {record.click_id: record.at_ms for record in again} == {r.click_id: r.at_ms for r in records}


def test_a_batch_that_was_settled_twice_is_read_once(log: AccessLog, home: Path, clock: ManualClock) -> None:
    records = [at(NOW + n, ip) for n, ip in enumerate(IPS)]
    log.append(records)
    opened(home, clock).append(list(reversed(records)))
    assert [record.click_id for record in everything(log)] == [record.click_id for record in records]


def test_only_the_time_that_was_asked_for_is_read_its_end_excluded(log: AccessLog) -> None:
    records = [at(NOW + hour * 3_600_000) for hour in range(-30, 31)]
    log.append(records)
    since, until = NOW - 3_600_000, NOW + 2 * 3_600_000
    assert [record.at_ms for record in log.read(since, until)] == [NOW - 3_600_000, NOW, NOW + 3_600_000]


def test_each_utc_day_has_its_file_and_its_key(log: AccessLog, home: Path) -> None:
    midnight = NOW // PERIOD_MS * PERIOD_MS
    log.append([at(midnight - 1), at(midnight), at(midnight + PERIOD_MS - 1)])
    names = [path.stem for path in files(home)]
    held = json.loads((home / "secrets" / "access-log.json").read_text())["days"]
    assert names == ["2027-01-14", "2027-01-15"]
    assert list(held) == [str(midnight // PERIOD_MS - 1), str(midnight // PERIOD_MS)]
    assert len(set(held.values())) == 2


def test_no_file_of_the_folder_holds_an_address_in_any_spelling(log: AccessLog, home: Path) -> None:
    log.append([at(NOW + n, ip) for n, ip in enumerate(IPS)])
    for path in [*(home / "access-log").iterdir(), home / "secrets" / "access-log.json"]:
        raw = path.read_bytes()
        for ip in IPS:
            address = ip_address(ip)
            for spelling in (ip.encode(), address.exploded.encode(), address.packed, address.packed[::-1]):
                assert spelling not in raw
        assert b"access" not in path.name.encode() or path.suffix == ".json"
    assert repr(at()).count("203") == 0


def test_one_address_looks_different_every_time(log: AccessLog, home: Path) -> None:
    record = at()
    for _ in range(3):
        log.append([record])
    [path] = files(home)
    raw = path.read_bytes()
    size = len(raw) // 3
    assert len({raw[n * size + 12 : (n + 1) * size] for n in range(3)}) == 3


def test_expiry_destroys_the_key_and_the_file_and_nothing_younger(
    log: AccessLog, home: Path, clock: ManualClock
) -> None:
    old, edge = at(NOW), at(NOW + PERIOD_MS)
    log.append([old, edge])
    clock.advance((KEEP_DAYS + 1) * 86_400)
    kept, key_before = files(home)[0].read_bytes(), (home / "secrets" / "access-log.json").read_text()
    assert log.expire() == 1
    assert log.expire() == 0
    assert everything(log) == [edge]
    key_file = home / "secrets" / "access-log.json"
    assert list(json.loads(key_file.read_text())["days"]) == [str(NOW // PERIOD_MS + 1)]
    assert json.loads(key_before)["days"][str(NOW // PERIOD_MS)] not in key_file.read_text()
    # A backup of the file is of no use any more.
    (home / "access-log" / "2027-01-15.log").write_bytes(kept)
    (home / "access-log" / "2027-01-15.log").chmod(0o600)
    with pytest.raises(ConfigError, match="1 batches"):
        everything(opened(home, clock))


def test_an_access_is_kept_for_six_months_whatever_its_month(log: AccessLog, clock: ManualClock) -> None:
    log.append([at(NOW)])
    clock.advance(KEEP_DAYS * 86_400)
    assert log.expire() == 0
    assert len(everything(log)) == 1


def test_a_day_that_is_over_its_time_is_not_begun_again(log: AccessLog, home: Path) -> None:
    assert log.append([at(NOW - (KEEP_DAYS + 1) * PERIOD_MS), at(NOW)]) == 1
    assert len(files(home)) == 1
    assert len(json.loads((home / "secrets" / "access-log.json").read_text())["days"]) == 1


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 11, 12, 24, 30, 51])
def test_what_a_crash_left_half_written_hides_nothing_before_or_after_it(
    log: AccessLog, home: Path, clock: ManualClock, keep: int
) -> None:
    first, torn, later = at(NOW), at(NOW + 1), at(NOW + 2)
    log.append([first])
    [path] = files(home)
    whole = path.read_bytes()
    log.append([torn])
    frame = path.read_bytes()[len(whole) :]
    path.write_bytes(whole + frame[:keep])
    assert everything(log) == [first]
    opened(home, clock).append([later])
    assert everything(log) == [first, later]
    log.append([torn])
    assert everything(log) == [first, torn, later]


def test_zeros_and_garbage_at_the_end_hide_nothing(log: AccessLog, home: Path) -> None:
    first, later = at(NOW), at(NOW + 1)
    log.append([first])
    [path] = files(home)
    path.write_bytes(path.read_bytes() + b"\0" * 4096 + bytes(range(256)))
    log.append([later])
    assert everything(log) == [first, later]


def test_an_altered_batch_is_told_after_all_that_can_be_read(log: AccessLog, home: Path) -> None:
    first, altered, last = at(NOW), at(NOW + 1), at(NOW + 2)
    for record in (first, altered, last):
        log.append([record])
    [path] = files(home)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    read = log.read(0, EVER)
    assert [next(read), next(read)] == [first, last]
    with pytest.raises(ConfigError, match="1 batches of the access log cannot be read"):
        next(read)


def test_a_batch_moved_to_another_day_is_not_read(log: AccessLog, home: Path) -> None:
    log.append([at(NOW), at(NOW + PERIOD_MS)])
    first, second = files(home)
    keys = home / "secrets" / "access-log.json"
    held = json.loads(keys.read_text())
    one, other = held["days"]
    held["days"][other] = held["days"][one]
    keys.write_text(json.dumps(held))
    second.write_bytes(first.read_bytes())
    with pytest.raises(ConfigError):
        list(log.read(NOW + PERIOD_MS // 2, EVER))


def test_with_the_wrong_keys_nothing_is_read(log: AccessLog, home: Path, clock: ManualClock) -> None:
    log.append([at()])
    keys = home / "secrets" / "access-log.json"
    keys.unlink()
    with pytest.raises(ConfigError, match="1 batches"):
        everything(log)
    assert log.describe()["unreadable_days"] == ["2027-01-15"]
    later = at(NOW + 1)
    opened(home, clock).append([later])
    read = log.read(0, EVER)
    assert next(read) == later
    with pytest.raises(ConfigError, match="1 batches"):
        next(read)


@pytest.mark.parametrize("place", ["access-log", "secrets/access-log.json", "access-log/2027-01-15.log"])
@pytest.mark.parametrize("mode", [0o040, 0o004, 0o020])
def test_folder_keys_and_files_that_others_can_reach_are_refused(
    log: AccessLog, home: Path, clock: ManualClock, place: str, mode: int
) -> None:
    log.append([at()])
    path = home / place
    path.chmod(stat.S_IMODE(path.stat().st_mode) | mode)
    for use in (lambda found: found.append([at()]), everything):
        with pytest.raises(ConfigError, match="chmod"):
            use(opened(home, clock))
    assert not path.is_file() or stat.S_IMODE(path.stat().st_mode) & 0o077


def test_everything_is_made_for_its_owner_alone(log: AccessLog, home: Path) -> None:
    log.append([at()])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home / "access-log").glob("*.log")}
    assert modes == {"2027-01-15.log": 0o600}
    assert stat.S_IMODE((home / "access-log").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "secrets" / "access-log.json").stat().st_mode) == 0o600


def test_a_link_is_not_followed(log: AccessLog, home: Path, tmp_path: Path) -> None:
    log.append([at()])
    [path] = files(home)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable):
        log.append([at()])
    (home / "access-log").rename(tmp_path / "folder")
    (home / "access-log").symlink_to(tmp_path / "folder")
    with pytest.raises(ConfigError, match="not a link"):
        log.append([at()])


def test_a_damaged_key_file_is_told_and_never_written_over(
    log: AccessLog, home: Path, clock: ManualClock
) -> None:
    log.append([at()])
    keys = home / "secrets" / "access-log.json"
    for text in (
        "",
        "{",
        "[]",
        '{"format": 2}',
        '{"format": 1, "days": {"1": "AAAA"}}',
        '{"format": 1, "days": []}',
    ):
        keys.write_text(text)
        with pytest.raises(ConfigError, match="damaged"):
            opened(home, clock).append([at()])
        assert keys.read_text() == text


def test_a_disk_that_does_not_do_it_is_told(log: AccessLog, home: Path) -> None:
    log.append([at()])
    [path] = files(home)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreUnavailable):
        log.append([at()])


def test_a_process_sees_the_keys_that_another_has_made_and_destroyed(home: Path, clock: ManualClock) -> None:
    ours, theirs = opened(home, clock), opened(home, clock)
    ours.append([at(NOW)])
    theirs.append([at(NOW), at(NOW + PERIOD_MS)])
    ours.append([at(NOW + PERIOD_MS)])
    assert len(everything(ours)) == len(everything(theirs)) == 4
    clock.advance((KEEP_DAYS + 1) * 86_400)
    theirs.expire()
    assert len(everything(ours)) == 2


def test_it_is_described_without_any_of_it(log: AccessLog, home: Path, clock: ManualClock) -> None:
    assert log.describe() | {"bytes": 0} == log.describe()
    assert not (home / "access-log").exists()
    log.append([at(NOW), at(NOW + PERIOD_MS)])
    shown = log.describe()
    assert shown == {
        "days": 2,
        "first_day": "2027-01-15",
        "last_day": "2027-01-16",
        "bytes": sum(path.stat().st_size for path in files(home)),
        "unreadable_days": [],
        "overdue_days": [],
    }
    clock.advance((KEEP_DAYS + 1) * 86_400)
    assert log.describe()["overdue_days"] == ["2027-01-15"]


def test_it_can_be_checked_before_anything_is_to_be_written(
    log: AccessLog, home: Path, clock: ManualClock
) -> None:
    log.check()
    (home / "access-log").chmod(0o755)
    with pytest.raises(ConfigError):
        opened(home, clock).check()


def test_a_million_clicks_take_no_more_than_is_written(log: AccessLog, home: Path) -> None:
    """32 bytes a click and 40 a batch, as the how-to says."""
    for _ in range(3):
        log.append([at() for _ in range(100)])
    [path] = files(home)
    assert path.stat().st_size == 3 * (100 * 32 + 40)


def test_accesses_are_those_of_clicks_whose_original_can_be_opened(
    tmp_path: Path, clock: ManualClock
) -> None:
    ring = Keyring.create(tmp_path / "keyring.json", clock)
    sealer = Sealer(ring)
    make = Pseudonymiser(ring, sealer)
    fields: dict[str, Any] = dict.fromkeys(Visit.__struct_fields__, "")
    fields |= {"at_ms": NOW, "params": {}, "method": "GET"}
    clicks = [
        make.click(Visit(**fields | {"ip": ip}), click_id=new_id(), link_id=1, node=0, ad_key=b"\0" * 8)
        for ip in ("203.0.113.9", None, "2001:db8::1")
    ]
    unsealed, foreign = bare_click(), bare_click(sealed=b"\1" * 60)
    found = accesses([*clicks, unsealed, foreign], sealer.open)
    assert [(access.click_id, access.ip) for access in found] == [
        (clicks[0].id, "203.0.113.9"),
        (clicks[2].id, "2001:db8::1"),
    ]


# ---------------------------------------------------------------- the command


@pytest.fixture
def command(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TRILHA_HOME_DIR", str(home))
    app = Typer(pretty_exceptions_enable=False)
    app.command()(access_log)

    def call(*options: str) -> Any:
        return CliRunner().invoke(app, list(options))

    return call


def test_the_command_prints_what_was_asked_for_in_the_operators_time(log: AccessLog, command: Any) -> None:
    inside, outside = at(NOW), at(NOW + 3_600_000, IPS[1])
    log.append([inside, outside])
    shown = command("--since", "2027-01-15T04:30", "--until", "2027-01-15T05:30")
    assert shown.exit_code == 0
    assert shown.stdout.split() == [
        "2027-01-15", "05:00:00", "(America/Sao_Paulo)", "203.0.113.9", str(inside.click_id),
    ]  # fmt: skip
    shown = command("--since", "2027-01-15T08:00Z", "--until", "2027-01-16", "--json")
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert lines == [
        {"at": "2027-01-15T08:00:00.000Z", "ip": IPS[0], "click": str(inside.click_id)},
        {"at": "2027-01-15T09:00:00.000Z", "ip": IPS[1], "click": str(outside.click_id)},
    ]
    assert UUID(lines[0]["click"]) == inside.click_id


def test_the_command_says_that_nothing_is_kept_and_refuses_what_is_no_time(command: Any) -> None:
    shown = command("--since", "2027-01-15", "--until", "2027-01-16")
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert "TRILHA_ACCESS_LOG" in shown.stderr
    assert isinstance(command("--since", "yesterday", "--until", "2027-01-16").exception, ConfigError)
