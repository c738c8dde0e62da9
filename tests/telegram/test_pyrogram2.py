"""The same tests on Pyrogram 2.0.106."""

from __future__ import annotations

import pytest

from tests.telegram.old_library import is_there, suite_on_pyrogram2


def test_pyrogram_2_0_106_is_there() -> None:
    """Never skipped: without it half of what is promised is not tested. scripts/setup-pyrogram2 installs it."""
    is_there()


@pytest.mark.parametrize("file", ["test_server.py", "test_faults.py"])
def test_the_server_is_the_same_to_pyrogram_2_0_106(file: str) -> None:
    is_there()
    run = suite_on_pyrogram2(f"tests/telegram/{file}")
    assert run.returncode == 0, run.stdout + run.stderr
