"""Finding: one thing that `trilha doctor` has checked."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was checked, how it is, and how to mend it."""

    check: str
    verdict: Verdict
    detail: str
