# ruff: noqa: INP001  a program of its own
"""Makes trilha.json, a dashboard for Grafana 10 or later, from panels.toml beside it."""

import json
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT, IN_A_ROW = 8, 8, 3


def dashboard() -> str:
    """The dashboard as Grafana imports it."""
    panels = tomllib.loads((HERE / "panels.toml").read_text())["panel"]
    whole = {
        "uid": "trilha",
        "title": "Trilha",
        "tags": ["trilha"],
        "schemaVersion": 38,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
            ]
        },
        "panels": [panel(number, given) for number, given in enumerate(panels)],
    }
    return json.dumps(whole, indent=1) + "\n"


def panel(number: int, given: dict[str, Any]) -> dict[str, Any]:
    """One panel, in its place."""
    place = {"w": WIDTH, "h": HEIGHT, "x": number % IN_A_ROW * WIDTH, "y": number // IN_A_ROW * HEIGHT}
    return {
        "id": number + 1,
        "title": given["title"],
        "type": "timeseries",
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": given["unit"], "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": SOURCE, "legendFormat": legend, "expr": expression}
            for at, (legend, expression) in enumerate(given["queries"])
        ],
    }


if __name__ == "__main__":
    (HERE / "trilha.json").write_text(dashboard())
