"""ClickToken: minted as published, verified offline, refused in every other spelling."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.attribution import ClickRef
from domain.click import Ad
from domain.clock import ManualClock
from domain.errors import ConfigError, InvalidToken
from privacy.keyring import Keyring
from privacy.mac import Mac
from privacy.token import DAY_MS, Minter, ad_key, looks_like_token
from tests.making import NOW, new_id

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "token.md"
VECTORS = json.loads(re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(now_ms=NOW)


@pytest.fixture
def keyring(tmp_path: Path, clock: ManualClock) -> Keyring:
    return Keyring.create(tmp_path / "keys" / "keyring.json", clock)


@pytest.fixture
def minter(keyring: Keyring, clock: ManualClock) -> Minter:
    return Minter(keyring, clock, node=513, attribution_days=28)


def ring_of_vectors(path: Path, clock: ManualClock) -> Keyring:
    """The published MAC keys, in a ring whose other keys do not matter."""
    keys = {
        number: base64.b64encode(bytes.fromhex(key)).decode() for number, key in VECTORS["mac_keys"].items()
    }
    ring = {
        "format": 1,
        "master": base64.b64encode(bytes(32)).decode(),
        "mac": {"current": 0, "keys": keys},
        "periods": {},
    }
    path.write_text(json.dumps(ring))
    path.chmod(0o600)
    return Keyring(path, clock)


@pytest.mark.parametrize("vector", VECTORS["tokens"])
def test_the_published_tokens_say_what_the_page_says(vector: dict[str, Any], tmp_path: Path) -> None:
    clock = ManualClock(now_ms=vector["clicked_at_ms"] + 1000)
    minter = Minter(ring_of_vectors(tmp_path / "ring.json", clock), clock, node=0, attribution_days=28)
    assert minter.verify(vector["token"]) == ClickRef(
        id=UUID(vector["click_id"]),
        link_id=vector["link_id"],
        node=vector["node"],
        ad_key=bytes.fromhex(vector["ad_key"]),
    )


@pytest.mark.parametrize("vector", [v for v in VECTORS["tokens"] if v["mac_key_id"] == 0])
def test_the_published_tokens_are_what_we_mint(vector: dict[str, Any], tmp_path: Path) -> None:
    clock = ManualClock(now_ms=vector["clicked_at_ms"])
    ring = ring_of_vectors(tmp_path / "ring.json", clock)
    minter = Minter(ring, clock, node=vector["node"], attribution_days=28)
    token = minter.mint(UUID(vector["click_id"]), vector["link_id"], bytes.fromhex(vector["ad_key"]))
    assert token.text == vector["token"]


@pytest.mark.parametrize("vector", VECTORS["ads"])
def test_the_published_ad_keys_are_ours(vector: dict[str, Any]) -> None:
    assert ad_key(Ad(**vector["ad"])).hex() == vector["ad_key"]


@given(
    link_id=st.integers(0, 0xFF_FFFF),
    node=st.integers(0, 0xFFFF),
    key=st.binary(min_size=8, max_size=8),
)
def test_what_was_minted_is_what_is_verified(link_id: int, node: int, key: bytes) -> None:
    clock = ManualClock(now_ms=NOW)
    minter = Minter(_shared_ring(), clock, node=node, attribution_days=28)
    click = new_id()
    token = minter.mint(click, link_id, key)
    assert re.fullmatch(r"[A-Za-z0-9_-]{62}", token.text)
    assert looks_like_token(token.text)
    assert minter.verify(token.text) == ClickRef(id=click, link_id=link_id, node=node, ad_key=key)
    assert minter.mint(click, link_id, key) == token


class _FixedRing:
    def mac_key(self) -> tuple[int, bytes]:
        return 0, bytes(32)

    def mac_key_by_id(self, key_id: int) -> bytes | None:
        return bytes(32) if key_id == 0 else None

    def mac(self, key: bytes) -> Mac:
        return Mac(key)


def _shared_ring() -> Any:
    return _FixedRing()


def spelled(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_token_with_any_bit_flipped_is_refused(minter: Minter) -> None:
    token = minter.mint(new_id(), 7, b"8 bytes!")
    raw = base64.urlsafe_b64decode(token.text + "==")
    assert len(raw) == 46
    for bit in range(46 * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidToken):
            minter.verify(spelled(bytes(flipped)))


def test_only_the_canonical_spelling_is_a_token(minter: Minter) -> None:
    """62 characters hold four bits more than 46 bytes: the fifteen other last characters are refused."""
    text = minter.mint(new_id(), 7, b"8 bytes!").text
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    accepted = []
    for letter in letters:
        try:
            minter.verify(text[:-1] + letter)
        except InvalidToken:
            continue
        accepted.append(letter)
    assert accepted == [text[-1]]


@pytest.mark.parametrize(
    "spoil", [str.lower, str.upper, lambda t: t[:-1], lambda t: t + "A", lambda t: " " + t[1:]]
)
def test_a_spoilt_token_is_refused(minter: Minter, spoil: Any) -> None:
    with pytest.raises(InvalidToken):
        minter.verify(spoil(minter.mint(new_id(), 7, b"8 bytes!").text))


@given(st.text(max_size=80) | st.text("AQ_-", min_size=62, max_size=62))
def test_no_text_makes_the_verifier_fail_otherwise(text: str) -> None:
    minter = Minter(_shared_ring(), ManualClock(), node=0, attribution_days=28)
    with pytest.raises(InvalidToken):
        minter.verify(text)


def test_another_version_is_malformed_even_with_a_right_mac(minter: Minter, keyring: Keyring) -> None:
    import hmac

    raw = base64.urlsafe_b64decode(minter.mint(new_id(), 7, b"8 bytes!").text + "==")
    body = bytes([0x20 | raw[0] & 0x0F]) + raw[1:30]
    forged = body + hmac.digest(keyring.mac_key()[1], body, "sha256")[:16]
    with pytest.raises(InvalidToken, match="malformed"):
        minter.verify(spelled(forged))


def test_a_token_lives_to_the_last_millisecond_of_its_window(minter: Minter, clock: ManualClock) -> None:
    text = minter.mint(new_id(), 7, b"8 bytes!").text
    clock.advance(28 * DAY_MS / 1000)
    assert minter.verify(text).link_id == 7
    clock.advance(0.001)
    with pytest.raises(InvalidToken, match="expired"):
        minter.verify(text)


def test_a_token_from_the_future_is_refused_beyond_an_hour_of_skew(minter: Minter) -> None:
    assert minter.verify(minter.mint(new_id(NOW + 3_600_000), 7, b"8 bytes!").text).link_id == 7
    with pytest.raises(InvalidToken, match="expired"):
        minter.verify(minter.mint(new_id(NOW + 3_600_001), 7, b"8 bytes!").text)


def test_tokens_of_the_last_two_mac_keys_are_valid_and_older_ones_are_forged(
    minter: Minter, keyring: Keyring
) -> None:
    texts = []
    for _ in range(3):
        texts.append(minter.mint(new_id(), 7, b"8 bytes!").text)
        last_two = texts[-2:]
        assert all(minter.verify(text).link_id == 7 for text in last_two)
        keyring.rotate_mac(window_days=28, force=True)
    assert minter.verify(texts[2]).link_id == 7
    for old in texts[:2]:
        with pytest.raises(InvalidToken, match="forged"):
            minter.verify(old)


def test_a_token_of_another_ring_is_forged(minter: Minter, tmp_path: Path, clock: ManualClock) -> None:
    other = Keyring.create(tmp_path / "other" / "keyring.json", clock)
    text = Minter(other, clock, node=513, attribution_days=28).mint(new_id(), 7, b"8 bytes!").text
    with pytest.raises(InvalidToken, match="forged"):
        minter.verify(text)


def test_a_token_does_not_show_in_a_repr(minter: Minter) -> None:
    token = minter.mint(new_id(), 7, b"8 bytes!")
    assert token.text not in repr(token)


@pytest.mark.parametrize("node", [-1, 65536])
def test_a_node_that_does_not_fit_is_a_configuration_error(
    keyring: Keyring, clock: ManualClock, node: int
) -> None:
    with pytest.raises(ConfigError, match="0 to 65535"):
        Minter(keyring, clock, node=node, attribution_days=28)


ads = st.builds(
    Ad, **dict.fromkeys(("source", "campaign", "medium", "content", "term"), st.text("ab", max_size=3))
)


@given(ads, ads)
def test_ad_keys_are_equal_exactly_for_equal_ads(one: Ad, other: Ad) -> None:
    """Names do not run together: ("ab", "") and ("a", "b") differ."""
    assert (ad_key(one) == ad_key(other)) == (one == other)
    assert len(ad_key(one)) == 8
