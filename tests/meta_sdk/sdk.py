"""The SDK's normaliser, asked in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIRECTORY = Path(os.environ.get("TRILHA_META_SDK_DIR", ROOT / ".venv" / "meta-sdk"))


@dataclass(frozen=True, kw_only=True)
class Made:
    """What the SDK compares and what it sends; `error` when it raises, which loses the event."""

    text: str | None = None
    digest: str | None = None
    error: str | None = None


def is_there() -> None:
    """AssertionError when it is not: nothing is skipped, or half of what is promised would not be tested."""
    assert (DIRECTORY / ".trilha-setup").exists(), "run scripts/setup-meta-sdk first: Meta's SDK is not there"


def sdk_makes(values: Sequence[tuple[str, str]]) -> list[Made]:
    """Of each value under Meta's short name for its field."""
    program = ROOT / "tests" / "meta_sdk" / "program.py"
    # The directory's variable is the workbench's: Trilha would refuse it as a setting that it does not know.
    others = {name: value for name, value in os.environ.items() if name != "TRILHA_META_SDK_DIR"}
    run = subprocess.run(
        [sys.executable, str(program), str(DIRECTORY)],
        input=json.dumps(values),
        env=others,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return [Made(**made) for made in json.loads(run.stdout)]
