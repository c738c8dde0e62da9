"""The same tests on Pyrogram 2.0.106, which has kurigram's import name and so needs a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIRECTORY = Path(os.environ.get("TRILHA_PYROGRAM2_DIR", ROOT / ".venv" / "pyrogram2"))


def on_pyrogram2(*arguments: str) -> subprocess.CompletedProcess[str]:
    """This Python, with the old library before the new one."""
    environment = {**os.environ, "PYTHONPATH": str(DIRECTORY)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


def test_pyrogram_2_0_106_is_there() -> None:
    """Never skipped: without it half of what is promised is not tested. scripts/setup-pyrogram2 installs it."""
    found = on_pyrogram2("-c", "import pyrogram; print(pyrogram.__version__)")
    assert found.stdout.strip() == "2.0.106", f"run scripts/setup-pyrogram2 first\n{found.stderr}"


@pytest.mark.parametrize("file", ["test_server.py", "test_faults.py"])
def test_the_server_is_the_same_to_pyrogram_2_0_106(file: str) -> None:
    run = on_pyrogram2("-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/telegram/{file}")
    assert run.returncode == 0, run.stdout + run.stderr
