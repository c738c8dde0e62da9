"""A copy of the lasting keys restores tokens and tombstones, and opens nothing that was sealed."""

from __future__ import annotations

import json

import pytest

from domain.errors import ConfigError
from privacy.keys import Keys
from privacy.lasting_keys import fingerprint, opened_copy, sealed_copy

DAY = 20_500
PASSPHRASE = "cavalo correto bateria"


@pytest.fixture(scope="module")
def ring() -> Keys:
    return Keys.fresh(DAY)


@pytest.fixture(scope="module")
def copy(ring: Keys) -> str:
    return sealed_copy(ring, PASSPHRASE)


def test_what_lasts_comes_back_and_no_day_and_no_master_does(ring: Keys, copy: str) -> None:
    found = opened_copy(copy, PASSPHRASE, today=DAY + 30)
    assert found.lasting == ring.lasting
    assert found.mac == ring.mac
    assert fingerprint(found) == fingerprint(ring)
    assert min(found.periods) == DAY + 30
    secrets = {pair.seal for pair in ring.periods.values()} | {m.chain for m in ring.masters}
    assert not secrets & ({pair.seal for pair in found.periods.values()} | {m.chain for m in found.masters})


def test_another_passphrase_opens_nothing(copy: str) -> None:
    with pytest.raises(ConfigError, match="passphrase"):
        opened_copy(copy, PASSPHRASE + "!", today=DAY)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"kind": "trilha lasting keys 1"}'])
def test_what_is_no_copy_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no copy"):
        opened_copy(text, PASSPHRASE, today=DAY)


def test_a_copy_of_another_kind_does_not_open(copy: str) -> None:
    changed = json.dumps(json.loads(copy) | {"kind": "trilha lasting keys 2"})
    with pytest.raises(ConfigError):
        opened_copy(changed, PASSPHRASE, today=DAY)


def test_a_short_passphrase_is_refused(ring: Keys) -> None:
    with pytest.raises(ConfigError, match="12"):
        sealed_copy(ring, "curta")
