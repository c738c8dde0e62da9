"""Credentials of pixels: sealed for one pixel and one installation, shown by no error and no repr."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.clock import ManualClock
from domain.errors import ConfigError
from domain.pixels import SealedCredentials
from privacy.keyring import Keyring
from privacy.pixel_tokens import (
    Credentials,
    HeldCredentials,
    PixelTokens,
    valid_access_token,
    valid_app_secret,
)
from tests.making import NOW

PIXEL, OTHER = "1234567890123456", "6543210987654321"
TOKEN = "EAAJtestZCOnlyZBnoRealTokenAtAll0123456789ZDZD"
APP_SECRET = "0123456789abcdef0123456789abcdef"
BOTH = Credentials(token=TOKEN, app_secret=APP_SECRET)


def ring_in(folder: Path) -> Keyring:
    return Keyring.create(folder / "keyring.json", ManualClock(now_ms=NOW))


@pytest.mark.parametrize("given", [Credentials(token=TOKEN), BOTH])
def test_credentials_open_for_their_own_pixel_and_on_their_own_installation_only(
    tmp_path: Path, given: Credentials
) -> None:
    tokens = PixelTokens(ring_in(tmp_path / "one"))
    sealed = tokens.seal(PIXEL, given)
    assert TOKEN.encode() not in (sealed.token or b"")
    assert tokens.open(PIXEL, sealed) == HeldCredentials(state="sealed", credentials=given)
    assert tokens.open(OTHER, sealed) == HeldCredentials(state="unreadable")
    assert PixelTokens(ring_in(tmp_path / "two")).open(PIXEL, sealed) == HeldCredentials(state="unreadable")


def test_no_token_is_none_and_not_unreadable(tmp_path: Path) -> None:
    assert PixelTokens(ring_in(tmp_path)).open(PIXEL, SealedCredentials()) == HeldCredentials(state="none")


def test_a_token_whose_app_secret_does_not_open_is_unreadable_as_it_would_be_refused(tmp_path: Path) -> None:
    tokens = PixelTokens(ring_in(tmp_path))
    sealed = tokens.seal(PIXEL, BOTH)
    for secret in (b"", b"\x01" + b"x" * 40, sealed.token):
        damaged = SealedCredentials(token=sealed.token, app_secret=secret)
        assert tokens.open(PIXEL, damaged) == HeldCredentials(state="unreadable")
    swapped = SealedCredentials(token=sealed.app_secret, app_secret=None)
    assert tokens.open(PIXEL, swapped) == HeldCredentials(state="unreadable")


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"  {TOKEN}\r\n",
        "EAA" + "B" * 500,
        "1234567890123456|abcDEF_-123456789.x",
        "EAAG" + "m0PX4ZCpsBA" * 17,
    ],
)
def test_tokens_of_every_form_that_meta_gives_are_taken(text: str) -> None:
    assert valid_access_token(text) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "EAA", "EAA" + "B" * 510, f"{TOKEN} {TOKEN}", f"{TOKEN}\n{TOKEN}", TOKEN + "é", f'"{TOKEN}"']
)
def test_what_is_no_token_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="no access token") as refused:
        valid_access_token(text)
    assert len(text) < 4 or text.strip() not in str(refused.value)


def test_an_app_secret_is_one_word_and_is_not_shown_either() -> None:
    assert valid_app_secret(f" {APP_SECRET}\n") == APP_SECRET
    for text in ("", "short", TOKEN + "!", f"{APP_SECRET} x"):
        with pytest.raises(ConfigError, match="no app secret") as refused:
            valid_app_secret(text)
        assert not text or text not in str(refused.value)


def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    tokens = PixelTokens(ring_in(tmp_path))
    sealed = tokens.seal(PIXEL, BOTH)
    shown = f"{BOTH!r} {sealed!r} {tokens.open(PIXEL, sealed)!r}"
    assert TOKEN not in shown
    assert APP_SECRET not in shown
    assert "\\x" not in shown
