"""What became of forged tokens."""

from __future__ import annotations

import json
from pathlib import Path

from chaos.faults.forged import SAID

REFUSED = "422"


def forged_accepted(folder: Path) -> int:
    """How many of them were not refused as invalid, whatever else was answered; 0 where none were tried."""
    said = folder / SAID
    if not said.exists():
        return 0
    statuses: dict[str, int] = json.loads(said.read_text())["statuses"]
    return sum(count for status, count in statuses.items() if status != REFUSED)
