"""Bot tokens: sealed for one bot and one installation, read from files that nobody else may read, shown by no error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from domain.clock import ManualClock
from domain.errors import ConfigError
from domain.links import Bot
from privacy.bot_tokens import (
    BotTokens,
    HeldToken,
    read_api_hash,
    read_bot_tokens,
    telegram_id_of,
    valid_token,
)
from privacy.keyring import Keyring
from tests.making import NOW

SECRET = "AAF4f_k3-Zp9QwErTyUiOpAsDfGhJkLzXcV"
TOKEN = f"7012345678:{SECRET}"
SHOP, OTHER = Bot(id=1, username="Shop_Bot"), Bot(id=2, username="other_bot")


def ring_in(folder: Path) -> Keyring:
    return Keyring.create(folder / "keyring.json", ManualClock(now_ms=NOW))


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_sealed_token_opens_for_its_own_bot_and_on_its_own_installation_only(tmp_path: Path) -> None:
    tokens = BotTokens(ring_in(tmp_path / "one"))
    sealed = tokens.seal(TOKEN, SHOP.id)
    assert SECRET.encode() not in sealed
    assert tokens.of(SHOP, sealed) == HeldToken(source="sealed", token=TOKEN)
    assert tokens.of(OTHER, sealed) == HeldToken(source="unreadable")
    assert BotTokens(ring_in(tmp_path / "two")).of(SHOP, sealed) == HeldToken(source="unreadable")


def test_a_token_is_sealed_otherwise_each_time(tmp_path: Path) -> None:
    tokens = BotTokens(ring_in(tmp_path))
    assert tokens.seal(TOKEN, 1) != tokens.seal(TOKEN, 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda blob: b"",
        lambda blob: blob[:5],
        lambda blob: blob[:-1],
        lambda blob: b"\x02" + blob[1:],
        lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]),
    ],
)
def test_a_damaged_seal_is_unreadable_and_no_error(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    tokens = BotTokens(ring_in(tmp_path))
    assert tokens.of(SHOP, damage(tokens.seal(TOKEN, SHOP.id))) == HeldToken(source="unreadable")


def test_no_rotation_of_keys_loses_a_token(tmp_path: Path) -> None:
    ring = ring_in(tmp_path)
    sealed = BotTokens(ring).seal(TOKEN, SHOP.id)
    ring.rotate_mac(window_days=0, force=True)
    ring.prepare_master()
    ring.wrap_with_newest_master()
    ring.forget_older_masters()
    ring.destroy_before(NOW // 86_400_000 + 1)
    assert BotTokens(ring).of(SHOP, sealed).token == TOKEN


def test_another_node_with_a_copy_of_the_ring_opens_it(tmp_path: Path) -> None:
    ring = ring_in(tmp_path)
    copy = Keyring.imported(tmp_path / "copy.json", ManualClock(now_ms=NOW), ring.export())
    assert BotTokens(copy).of(SHOP, BotTokens(ring).seal(TOKEN, SHOP.id)).token == TOKEN


def test_a_line_of_the_file_goes_before_what_is_sealed(tmp_path: Path) -> None:
    in_file = read_bot_tokens(private(tmp_path / "tokens", f"@SHOP_bot {TOKEN}\n"))
    tokens = BotTokens(ring_in(tmp_path), in_file)
    assert tokens.of(SHOP, b"whatever") == HeldToken(source="file", token=TOKEN)
    assert tokens.of(OTHER, None) == HeldToken(source="none")


def test_a_held_token_shows_itself_in_no_traceback() -> None:
    assert SECRET not in repr(HeldToken(source="file", token=TOKEN))


def test_a_token_begins_with_the_bots_own_telegram_id() -> None:
    assert telegram_id_of(valid_token(f"  {TOKEN}\n")) == 7_012_345_678


@pytest.mark.parametrize(
    "text",
    [
        "",
        SECRET,
        f"0{TOKEN}",
        f"{TOKEN}!",
        f"{TOKEN} {TOKEN}",
        TOKEN.replace(":", ""),
        f"7012345678:{SECRET[:20]}",
        f"7012345678:{SECRET}ç",
        f"٧٠١٢٣٤٥٦٧٨:{SECRET}",
    ],
)
def test_what_is_no_token_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="no bot token") as refused:
        valid_token(text)
    assert SECRET[:20] not in str(refused.value)


def test_a_file_of_tokens_has_a_line_for_each_bot_and_may_have_comments(tmp_path: Path) -> None:
    text = f"# ours\n\nShop_Bot {TOKEN}  # the shop's\n  @other_bot\t8{TOKEN}\n"
    found = read_bot_tokens(private(tmp_path / "tokens", text))
    assert found == {"shop_bot": TOKEN, "other_bot": f"8{TOKEN}"}
    assert read_bot_tokens(None) == {}


@pytest.mark.parametrize(
    "line", [TOKEN, f"{TOKEN} shop_bot", f"shop_bot {TOKEN} {TOKEN}", f"bot {TOKEN}", "b x"]
)
def test_a_wrong_line_is_named_by_its_number_and_not_shown(tmp_path: Path, line: str) -> None:
    path = private(tmp_path / "tokens", f"other_bot {TOKEN}\n{line}\n")
    with pytest.raises(ConfigError, match="line 2: write USERNAME TOKEN") as refused:
        read_bot_tokens(path)
    assert SECRET not in str(refused.value)


def test_a_bot_that_comes_twice_in_the_file_is_a_mistake(tmp_path: Path) -> None:
    path = private(tmp_path / "tokens", f"shop_bot {TOKEN}\nSHOP_BOT 8{TOKEN}\n")
    with pytest.raises(ConfigError, match="line 2: this bot has a token above already"):
        read_bot_tokens(path)


@pytest.mark.parametrize("read", [read_bot_tokens, read_api_hash])
def test_a_secret_file_that_others_may_read_is_refused(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    path = private(
        tmp_path / "secret", "0123456789abcdef" * 2 if read is read_api_hash else f"shop_bot {TOKEN}"
    )
    assert read(path)
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(ConfigError, match="chmod 600"):
            read(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "absent")
    path.chmod(0o600)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no text"):
        read(path)


def test_an_api_hash_is_32_hexadecimal_characters_and_a_wrong_one_is_not_shown(tmp_path: Path) -> None:
    assert read_api_hash(private(tmp_path / "good", "0123456789abcdef" * 2 + "\n")) == "0123456789abcdef" * 2
    with pytest.raises(ConfigError, match="32 characters") as refused:
        read_api_hash(private(tmp_path / "bad", SECRET))
    assert SECRET not in str(refused.value)
