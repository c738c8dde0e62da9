"""Pyrogram 2.0.106 has kurigram's import name, so what is to run on it needs a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIRECTORY = Path(os.environ.get("TRILHA_PYROGRAM2_DIR", ROOT / ".venv" / "pyrogram2"))


def on_pyrogram2(*arguments: str) -> subprocess.CompletedProcess[str]:
    """This Python and its children, with the old library before the new one."""
    # The directory's variable is the workbench's: Trilha would refuse it as a setting that it does not know.
    others = {name: value for name, value in os.environ.items() if name != "TRILHA_PYROGRAM2_DIR"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=others | {"PYTHONPATH": str(DIRECTORY)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def suite_on_pyrogram2(*what: str) -> subprocess.CompletedProcess[str]:
    """Tests, with the names of those that were run in the output. Its code is not 0 when the library is not there."""
    options = ["-v", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=60"]
    # A test that hangs ends the run, and says where.
    return on_pyrogram2("-m", "pytest", *options, "-o", "faulthandler_exit_on_timeout=true", *what)


def is_there() -> None:
    """AssertionError when it is not: nothing is skipped, or half of what is promised would not be tested."""
    found = on_pyrogram2("-c", "import pyrogram; print(pyrogram.__version__)")
    assert found.stdout.strip() == "2.0.106", f"run scripts/setup-pyrogram2 first\n{found.stderr}"
