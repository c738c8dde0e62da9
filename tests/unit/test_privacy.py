"""The key ring, the seal, the pseudonyms and the redaction: what may be read afterwards, and by whom."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.codec import encode
from domain.click import Ad, Visit
from domain.clock import ManualClock
from domain.errors import ConfigError
from privacy.keyring import PERIOD_MS, Keyring, Keys, PeriodKeys, current_period
from privacy.pseudonymise import Pseudonymiser, fbc
from privacy.redact import redact_event, redact_text
from privacy.seal import Original, Sealer
from tests.making import NOW, new_id

TODAY = NOW // PERIOD_MS


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(now_ms=NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets" / "keyring.json"


@pytest.fixture
def keyring(path: Path, clock: ManualClock) -> Keyring:
    return Keyring.create(path, clock)


# ---------------------------------------------------------------- key ring


def test_a_new_ring_is_ours_alone_and_has_keys_ahead(
    keyring: Keyring, path: Path, clock: ManualClock
) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    today = current_period(clock)
    assert keyring.describe()["periods"] == list(range(today, today + 8))


def test_a_ring_is_never_overwritten(keyring: Keyring, path: Path, clock: ManualClock) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        Keyring.create(path, clock)
    assert path.read_bytes() == before


def test_a_missing_ring_names_the_command_that_makes_one(path: Path, clock: ManualClock) -> None:
    with pytest.raises(ConfigError, match="trilha keys create"):
        Keyring(path, clock)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_ring_that_others_can_read_is_refused(
    keyring: Keyring, path: Path, clock: ManualClock, mode: int
) -> None:
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        Keyring(path, clock)


@pytest.mark.parametrize("spoil", ["", "{", "[]", "{}", '{"format": 2}', "null"])
def test_a_damaged_ring_is_refused(keyring: Keyring, path: Path, clock: ManualClock, spoil: str) -> None:
    path.write_text(spoil)
    with pytest.raises(ConfigError, match="damaged"):
        Keyring(path, clock)


def with_lasting(path: Path, lasting: str) -> None:
    ring = json.loads(path.read_text())
    path.write_text(json.dumps(ring | {"lasting": lasting}))


def test_a_key_written_without_its_last_sign_is_the_same_key(
    keyring: Keyring, path: Path, clock: ManualClock
) -> None:
    with_lasting(path, json.loads(path.read_text())["lasting"].rstrip("="))
    assert Keyring(path, clock).lookup_key() == keyring.lookup_key()


@pytest.mark.parametrize("cut", [2, 5, 20, 44])
def test_a_key_that_lost_its_end_is_refused(
    keyring: Keyring, path: Path, clock: ManualClock, cut: int
) -> None:
    with_lasting(path, json.loads(path.read_text())["lasting"][:-cut])
    with pytest.raises(ConfigError, match="damaged"):
        Keyring(path, clock)


def test_two_processes_see_each_others_changes(keyring: Keyring, path: Path, clock: ManualClock) -> None:
    other = Keyring(path, clock)
    keyring.rotate_mac(window_days=28)
    other.refresh()
    assert other.mac_key() == keyring.mac_key()
    clock.advance(8 * 86_400)
    other.refresh()
    keyring.refresh()
    today = current_period(clock)
    assert other.period_keys(today) == keyring.period_keys(today) is not None


def test_a_second_rotation_waits_for_the_tokens_of_the_older_key(
    keyring: Keyring, clock: ManualClock
) -> None:
    """Rotating twice in a row would end live tokens: it is refused until they have expired, or asked for by force."""
    keyring.rotate_mac(window_days=28)
    clock.advance(27 * 86_400)
    with pytest.raises(ConfigError, match="--force"):
        keyring.rotate_mac(window_days=28)
    clock.advance(86_400)
    keyring.rotate_mac(window_days=28)
    keyring.rotate_mac(window_days=28, force=True)
    assert keyring.mac_key()[0] == 3


def test_keys_are_provisioned_before_their_day(keyring: Keyring, clock: ManualClock) -> None:
    for _ in range(30):
        clock.advance(86_400)
        keyring.refresh()
        assert keyring.period_keys(current_period(clock) + 1) is not None


def test_provisioning_changes_no_key_that_is_there() -> None:
    keys = Keys.fresh(10)
    later = keys.provisioned(13, 20)
    assert {n: later.periods[n] for n in keys.periods} == dict(keys.periods)
    assert sorted(later.periods) == list(range(10, 21))
    assert keys.provisioned(10, 17) is keys


def test_nothing_that_describes_the_ring_shows_a_key(keyring: Keyring, path: Path) -> None:
    secrets = [
        keyring.mac_key()[1],
        keyring.lookup_key(),
        keyring.keys.master.fixed,
        keyring.keys.master.chain,
    ]
    text = f"{keyring.describe()} {keyring!r} {keyring.keys!r} {PeriodKeys.fresh()!r}"
    assert not re.search(r"\bb'", text)  # the id of a master may end in a b
    assert not any(secret.hex() in text or repr(secret) in text for secret in secrets)


# ---------------------------------------------------------------- seal

ORIGINAL = Original(ip="203.0.113.9", user_agent="Mozilla/5.0", fbclid="IwAR", fbc="fb.1.2.IwAR", referer="r")


def test_what_was_sealed_opens_for_its_own_click_only(keyring: Keyring) -> None:
    click = new_id()
    blob = Sealer(keyring).seal(ORIGINAL, click, TODAY)
    assert blob is not None
    assert Sealer(keyring).open(blob, click) == ORIGINAL
    assert Sealer(keyring).open(blob, new_id()) is None
    assert b"203.0.113.9" not in blob
    assert "203.0.113.9" not in repr(ORIGINAL)


def test_a_blob_with_any_byte_changed_does_not_open(keyring: Keyring) -> None:
    click = new_id()
    blob = Sealer(keyring).seal(ORIGINAL, click, TODAY) or b""
    sealer = Sealer(keyring)
    for at in range(len(blob)):
        assert sealer.open(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :], click) is None
        assert sealer.open(blob[:at], click) is None


def test_without_the_key_of_its_day_nothing_opens_and_nothing_is_sealed(keyring: Keyring) -> None:
    """I14: destroying the period key destroys what it sealed."""
    click = new_id()
    sealer = Sealer(keyring)
    blob = sealer.seal(ORIGINAL, click, TODAY) or b""
    keyring.destroy_before(TODAY + 1)
    keyring.refresh()
    assert sealer.open(blob, click) is None
    assert sealer.seal(ORIGINAL, click, TODAY) is None


def test_whether_an_original_can_be_opened_is_known_without_opening_it(keyring: Keyring) -> None:
    sealer = Sealer(keyring)
    blob = sealer.seal(ORIGINAL, new_id(), TODAY) or b""
    assert sealer.readable(blob)
    assert not sealer.readable(b"")
    assert not sealer.readable(b"\x7f" + blob[1:])
    keyring.destroy_before(TODAY + 1)
    assert not sealer.readable(blob)


# ---------------------------------------------------------------- pseudonyms


def test_addresses_of_one_ipv6_network_share_a_visitor_key_and_others_do_not(keyring: Keyring) -> None:
    key = Pseudonymiser(keyring, Sealer(keyring)).visitor_key
    assert key("2001:db8:1:2::1", TODAY) == key("2001:db8:1:2:ffff::9", TODAY)
    assert key("2001:db8:1:2::1", TODAY) != key("2001:db8:1:3::1", TODAY)
    assert key("203.0.113.9", TODAY) != key("203.0.113.10", TODAY)
    assert len(key("203.0.113.9", TODAY) or b"") == 16


def test_an_ipv4_address_in_ipv6_clothes_is_the_same_visitor(keyring: Keyring) -> None:
    """Not one network for the whole of IPv4."""
    key = Pseudonymiser(keyring, Sealer(keyring)).visitor_key
    assert key("::ffff:203.0.113.9", TODAY) == key("203.0.113.9", TODAY)
    assert key("::ffff:203.0.113.9", TODAY) != key("::ffff:203.0.113.10", TODAY)
    assert key("::1", TODAY) != key("0.0.0.1", TODAY)


def test_a_visitor_key_means_nothing_on_another_day(keyring: Keyring) -> None:
    key = Pseudonymiser(keyring, Sealer(keyring)).visitor_key
    assert key("203.0.113.9", TODAY) != key("203.0.113.9", TODAY + 1)
    assert (key(None, TODAY), key("203.0.113.9", TODAY - 1)) == (None, None)


@pytest.mark.parametrize(
    ("fbclid", "cookie", "wanted"),
    [
        ("IwAR_1-x", "", f"fb.1.{NOW}.IwAR_1-x"),
        ("IwAR", "fb.1.5.IwAR", "fb.1.5.IwAR"),
        ("IwAR", "fb.1.5.other", f"fb.1.{NOW}.IwAR"),
        ("", "fb.1.5.IwAR", "fb.1.5.IwAR"),
        ("", "junk", ""),
        ("", "", ""),
        ("fb.1.5.IwAR", "", "fb.1.5.IwAR"),
        ("with space", "", ""),
        ("x" * 512, "", ""),
        ("x" * 511, "", f"fb.1.{NOW}." + "x" * 511),
    ],
)
def test_fbc_is_the_cookie_when_it_agrees_else_made_once_in_milliseconds(
    fbclid: str, cookie: str, wanted: str
) -> None:
    assert fbc(fbclid, cookie, NOW) == wanted


@pytest.fixture(scope="module")
def shared_ring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring.create(tmp_path_factory.mktemp("ring") / "s" / "ring.json", ManualClock(now_ms=NOW))


secret_text = st.text("abcXYZ0189", min_size=4, max_size=60).map("raw_{}_raw".format)


@given(
    ip=st.ip_addresses().map(str), agent=secret_text, fbclid=secret_text, fbp=secret_text, page=secret_text
)
def test_no_raw_address_agent_or_meta_id_is_in_the_bytes_of_a_click(
    shared_ring: Keyring, ip: str, agent: str, fbclid: str, fbp: str, page: str
) -> None:
    visit = Visit(
        method="GET", at_ms=NOW, ip=ip, user_agent=agent, fbclid=fbclid, fbc_cookie="fb.1.1." + fbclid,
        fbp_cookie=fbp, referer="https://example.com/" + page, language="pt-BR", prefetch="", params={"utm_source": "fb"}, ad=Ad(source="fb"),
    )  # fmt: skip
    sealer = Sealer(shared_ring)
    click = Pseudonymiser(shared_ring, sealer).click(
        visit, click_id=new_id(), link_id=1, node=0, ad_key=bytes(8)
    )
    raw = encode(click)
    assert not [text for text in (agent, fbclid, fbp, page) if text.encode() in raw]
    assert len(ip) < 6 or ip.encode() not in raw
    opened = sealer.open(click.sealed or b"", click.id)
    assert opened is not None
    assert (opened.ip, opened.user_agent, opened.fbclid, opened.fbp) == (ip, agent, fbclid, fbp)
    assert click.referer_host == "example.com"
    assert agent not in repr(visit)


# ---------------------------------------------------------------- redaction


@pytest.mark.parametrize(
    "secret",
    [
        "203.0.113.9", "203.0.113.9:5555", "2001:db8::1", "2001:db8:0:0:0:0:0:1", "fe80::1", "::ffff:203.0.113.9",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)", "fbclid=IwAR0abc", "Bearer abcdef", "bearer abcdef",
        "a" * 62, "redis://user:pass@host/0", "postgresql+asyncpg://u:p@h/db",
    ],
)  # fmt: skip
def test_what_is_personal_or_secret_does_not_reach_a_log_line(secret: str) -> None:
    for around in ("peer {} failed", "{}", "({})", "['{}']", "a={}"):
        text = redact_text(around.format(secret))
        assert secret not in text
        for part in ("203.0.113", "db8::1", "iPhone", "IwAR", "abcdef", "aaaa", "pass", "u:p"):
            assert part not in text


@pytest.mark.parametrize(
    "harmless", ["a spool failed", "trilha/0.1.0", "https://example.com/x", "version 7.2"]
)
def test_what_is_harmless_stays(harmless: str) -> None:
    assert redact_text(harmless) == harmless


def test_every_text_of_an_event_is_redacted_and_the_rest_kept() -> None:
    event: dict[str, Any] = {
        "event": "from 203.0.113.9",
        "error": "2001:db8::1",
        "n": 5,
        "timestamp": "2026-01-01T00:00:00Z",
    }
    assert redact_event(None, "info", event) == event | {"event": "from [ip]", "error": "[ip]"}
