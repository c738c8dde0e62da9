"""What chart.js draws, as data: points in time, and a series of values for each line or bar."""

from collections.abc import Sequence
from typing import Any, Literal


def chart_data(by: Literal["hour", "day"], at_ms: Sequence[int], *series: dict[str, Any]) -> dict[str, Any]:
    """The data block of a chart (`chart` in templates/parts.html): moments in UTC milliseconds, each with a value a series."""
    return {"by": by, "x": list(at_ms), "series": list(series)}


def series(
    label: str, values: Sequence[float | None], kind: Literal["bars", "line", "faint"] = "line"
) -> dict[str, Any]:
    """One series; None where there is no value. `faint` is a line to compare with."""
    return {"label": label, "values": list(values), "kind": kind}
