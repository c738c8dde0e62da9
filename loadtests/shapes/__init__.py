"""The shapes, each a TOML file beside this one: `segments` as they are, or a day as its 24 hourly rates."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtests.arrivals import Segment, Shape

FOLDER = Path(__file__).parent


def shape_names() -> list[str]:
    """All of them, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_shape(name: str) -> Shape:
    """The shape of that name; ValueError with the names that there are."""
    if name not in shape_names():
        raise ValueError(f"no such shape: {name!r}. There are {', '.join(shape_names())}")
    said = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return Shape(
        name=name, about=said["about"], segments=tuple(_segments(said)), fixed=said.get("fixed", True)
    )


def _segments(said: Mapping[str, Any]) -> list[Segment]:
    if "hours" in said:
        return [part for rate in said["hours"] for part in _hour(rate, said)]
    return [Segment(**segment) for segment in said["segments"]]


def _hour(rate: float, said: Mapping[str, Any]) -> list[Segment]:
    """One hour, compressed: half of it, a burst, the other half."""
    burst = said["burst"]
    calm = (said["seconds_per_hour"] - burst["seconds"]) / 2
    return [
        Segment(seconds=calm, start=rate, end=rate),
        Segment(seconds=burst["seconds"], start=burst["rate"], end=burst["rate"]),
        Segment(seconds=calm, start=rate, end=rate),
    ]
