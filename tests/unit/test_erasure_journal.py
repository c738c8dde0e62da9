"""The journal of erasures keeps every erasure once, through a line that was cut short."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import ConfigError
from privacy.erasure_journal import ErasureJournal

ANA, BIA = bytes(15) + b"a", bytes(15) + b"b"


def test_an_erasure_is_written_once_and_a_later_one_of_the_same_person_again(tmp_path: Path) -> None:
    journal = ErasureJournal(tmp_path / "erasures")
    assert journal.read() == {}
    assert [journal.add({ANA: 5}), journal.add({ANA: 5, BIA: 6}), journal.add({ANA: 4})] == [1, 1, 0]
    assert journal.add({ANA: 9}) == 1
    assert journal.read() == {ANA: 9, BIA: 6}
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_cut_short_is_left_out_and_swallows_no_other(tmp_path: Path) -> None:
    journal = ErasureJournal(tmp_path / "erasures")
    journal.add({ANA: 5})
    with journal.path.open("a") as file:
        file.write(BIA.hex()[:7])
    assert journal.read() == {ANA: 5}
    journal.add({BIA: 6})
    assert journal.read() == {ANA: 5, BIA: 6}


def test_a_journal_that_others_can_read_is_refused(tmp_path: Path) -> None:
    journal = ErasureJournal(tmp_path / "erasures")
    journal.add({ANA: 5})
    journal.path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        journal.read()


def test_an_erasure_is_forgotten_with_all_that_it_could_be_of(tmp_path: Path) -> None:
    journal = ErasureJournal(tmp_path / "erasures")
    journal.add({ANA: 5, BIA: 6})
    assert journal.forget(6) == 1
    assert journal.read() == {BIA: 6}
    assert journal.path.stat().st_mode & 0o777 == 0o600
