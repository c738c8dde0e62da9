"""What a run is held to, and the two-level verdict: the owner's line, and ours, which is stricter."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from loadtests.arrivals import Phase

FILE = Path(__file__).with_name("thresholds.toml")
Level = Literal["held", "owner_only", "missed", "not_measurable", "wrong_books"]
WORDS: dict[Level, str] = {
    "held": "held: the owner's thresholds and ours",
    "owner_only": "the owner's thresholds held, ours missed",
    "missed": "the owner's thresholds missed",
    "not_measurable": "not measurable: the generator was late itself",
    "wrong_books": "the books do not balance",
}
RULES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFigures:
    """What was seen in one phase: milliseconds by rule, such as `p95_ms`."""

    requests: int
    errors: int
    latencies: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison. `whose`: owner or ours."""

    whose: str
    what: str
    limit: str
    seen: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Both lines, as the file has them."""

    owner: Mapping[str, Any]
    ours: Mapping[str, Any]
    late_p99_ms: float

    @classmethod
    def read(cls, file: Path | None = None) -> Thresholds:
        """From a file; ValueError when it cannot be understood."""
        try:
            said = tomllib.loads((file or FILE).read_text(encoding="utf-8"))
            lines = [said["owner"], said["ours"]]
            unknown = {
                name
                for line in lines
                for phase in ("normal", "spike")
                for name in line.get(phase, {})
                if name not in RULES
            }
            if unknown:
                raise ValueError(f"no such rule: {', '.join(sorted(unknown))}")
            return cls(owner=lines[0], ours=lines[1], late_p99_ms=float(said["generator"]["late_p99_ms"]))
        except (OSError, KeyError, TypeError, AttributeError, tomllib.TOMLDecodeError) as error:
            raise ValueError(f"thresholds that are not understood: {error!r}") from None

    def checks(self, phases: Mapping[Phase, PhaseFigures]) -> list[Check]:
        """Every comparison that this run allows: of the phases that it had."""
        return [
            check
            for whose, line in (("owner", self.owner), ("ours", self.ours))
            for check in _checks(whose, line, phases)
        ]


def _checks(whose: str, line: Mapping[str, Any], phases: Mapping[Phase, PhaseFigures]) -> list[Check]:
    found = [_error_check(whose, float(line["error_rate"]), phases)]
    for phase, figures in phases.items():
        for rule, limit in line.get(phase, {}).items():
            seen = figures.latencies[rule]
            found.append(
                Check(
                    whose=whose,
                    what=f"{rule.removesuffix('_ms')} {phase}",
                    limit=f"< {limit:g} ms",
                    seen=f"{seen:.1f} ms",
                    held=seen < limit,
                )
            )
    return found


def _error_check(whose: str, limit: float, phases: Mapping[Phase, PhaseFigures]) -> Check:
    """A limit of 0 allows none; any other is to stay above what is seen."""
    requests = sum(figures.requests for figures in phases.values())
    errors = sum(figures.errors for figures in phases.values())
    seen = errors / requests if requests else 1.0
    return Check(
        whose=whose,
        what="errors",
        limit=f"< {limit:.1%}" if limit else "0",
        seen=f"{errors} of {requests} ({seen:.2%})",
        held=seen < limit if limit else errors == 0 and requests > 0,
    )


def level(checks: list[Check], *, late: bool, books: bool) -> Level:
    """The verdict. Lost clicks outweigh everything; then comes whether the run may be judged at all."""
    if not books:
        return "wrong_books"
    if late:
        return "not_measurable"
    if not all(check.held for check in checks if check.whose == "owner"):
        return "missed"
    return "held" if all(check.held for check in checks) else "owner_only"
