"""API keys: kept as hashes in a file of ours alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from domain.errors import ConfigError
from privacy.api_keys import ApiKeys, api_key_names, make_api_key, revoke_api_key


def test_a_made_key_opens_and_stands_nowhere_in_its_0600_file(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "api-keys"
    key = make_api_key(path, "bot-1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert key not in path.read_text()
    assert ApiKeys(path).allows(f"Bearer {key}")


def test_each_of_two_keys_opens(tmp_path: Path) -> None:
    keys = [make_api_key(tmp_path / "keys", name) for name in ("a", "b")]
    held = ApiKeys(tmp_path / "keys")
    assert all(held.allows(f"bearer {key}") for key in keys)


@pytest.mark.parametrize(
    "shape",
    ["", "Bearer", "Bearer ", "{key}", "Basic {key}", "Bearer {key}x", "Bearer x{key}", "Bearer {hash}"],
)
def test_anything_but_the_key_as_a_bearer_is_refused(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "keys"
    key = make_api_key(path, "a")
    digest = path.read_text().strip().partition(":")[2]
    assert not ApiKeys(path).allows(shape.format(key=key, hash=digest))


@pytest.mark.parametrize("header", ["Bearer x", "Bearer ", ""])
def test_without_a_file_nobody_is_let_in(tmp_path: Path, header: str) -> None:
    assert not ApiKeys(tmp_path / "none").allows(header)


def test_a_damaged_line_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text("a:\n:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\n")
    assert not ApiKeys(path).allows("Bearer ")


def test_a_key_made_later_opens_after_a_refresh_and_a_removed_one_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    held = ApiKeys(path)
    key = make_api_key(path, "late")
    assert not held.allows(f"Bearer {key}")
    held.refresh()
    assert held.allows(f"Bearer {key}")
    path.unlink()
    held.refresh()
    assert not held.allows(f"Bearer {key}")


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    make_api_key(path, "a")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        ApiKeys(path)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\nb", "é", "x" * 65])
def test_a_name_that_could_break_the_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        make_api_key(tmp_path / "keys", name)
    assert not (tmp_path / "keys").exists()


def test_a_revoked_name_opens_nothing_and_the_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    old, new, other = (make_api_key(path, name) for name in ("shop", "shop", "other"))
    held = ApiKeys(path)
    assert api_key_names(path) == ["shop", "shop", "other"]
    assert revoke_api_key(path, "shop") == 2
    held.refresh()
    assert [held.allows(f"Bearer {key}") for key in (old, new, other)] == [False, False, True]
    assert (api_key_names(path), stat.S_IMODE(path.stat().st_mode)) == (["other"], 0o600)


@pytest.mark.parametrize("name", ["nobody", "shop "])
def test_revoking_a_name_that_has_no_key_is_refused_and_changes_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / "keys"
    with pytest.raises(ConfigError, match="no API key"):
        revoke_api_key(path, name)
    assert not path.exists()
    make_api_key(path, "shop")
    with pytest.raises(ConfigError, match="no API key"):
        revoke_api_key(path, name)
    assert api_key_names(path) == ["shop"]


def test_keys_that_cannot_be_read_any_more_leave_those_known_in_force_until_they_can(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    key = make_api_key(path, "shop")
    held = ApiKeys(path)
    make_api_key(path, "late")
    path.chmod(0o640)
    for _ in range(2):
        with pytest.raises(ConfigError, match="chmod 600"):
            held.refresh()
    assert held.allows(f"Bearer {key}")
