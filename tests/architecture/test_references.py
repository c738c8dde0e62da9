"""What can be set, measured and raised is documented, and nothing is documented that is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import ByteSize

from domain import errors
from runtime.metrics import Metrics
from runtime.settings import PREFIX, Settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def table(page: str) -> dict[str, list[str]]:
    """Rows whose first cell is one name in backticks; the other cells, backticks removed."""
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", (REFERENCE / page).read_text(), re.MULTILINE)
    return {name: [cell.strip().strip("`") for cell in rest.split(" | ")] for name, rest in rows}


def shown(value: Any) -> str:
    if value is None or value == ():
        return "(empty)"
    if isinstance(value, ByteSize):
        return value.human_readable().replace(".0", "")
    return str(value)


def test_every_setting_is_documented_with_its_default_and_meaning() -> None:
    wanted = {
        PREFIX + name.upper(): [shown(field.default), str(field.description)]
        for name, field in Settings.model_fields.items()
    }
    assert table("settings.md") == wanted


def test_every_metric_is_documented_with_its_labels() -> None:
    found = {}
    for collector in list(Metrics().registry._collector_to_names):
        [family] = collector.describe()  # type: ignore[attr-defined]
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(collector.labels) or "(none)"  # type: ignore[attr-defined]
        found[name] = [family.type, labels]
    assert {name: cells[:2] for name, cells in table("metrics.md").items()} == found


def test_every_error_stands_in_the_tree_of_its_file() -> None:
    tree = re.findall(r"^[│├└─ ]*([A-Z]\w+) {2,}", errors.__doc__ or "", re.MULTILINE)
    classes = [n for n, o in vars(errors).items() if isinstance(o, type) and issubclass(o, Exception)]
    assert sorted(tree) == sorted(classes)


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    """Each class hangs below its base."""
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([│├└─ ]*)([A-Z]\w+) {2,}", line)
        if match:
            depth = len(match[1]) // 4
            above[depth] = match[2]
            if depth:
                assert getattr(errors, match[2]).__base__.__name__ == above[depth - 1]
