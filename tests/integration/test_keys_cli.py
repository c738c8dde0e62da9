"""trilha keys, as the operator's hands use it: two homes, one database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def trilha(home: Path, *words: str, given: str = "", code: int = 0) -> str:
    environment = os.environ | {
        "TRILHA_HOME_DIR": str(home),
        "TRILHA_SQL_URL": f"sqlite+aiosqlite:///{home.parent / 'trilha.db'}",
    }
    command = [sys.executable, "-m", "cli.main", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, input=given, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def shared_keys_of(home: Path) -> str:
    said = json.loads(trilha(home, "doctor", "--json"))
    [finding] = [item for item in said if item["check"] == "shared keys"]
    return finding["verdict"]


def test_a_ring_is_carried_rotated_listed_and_destroyed_on_two_nodes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    trilha(one, "keys", "create")
    trilha(one, "migrate")
    trilha(two, "keys", "import", given=trilha(one, "keys", "export"))
    trilha(one, "keys", "rotate-mac")
    trilha(one, "keys", "rotate-period")
    trilha(one, "keys", "rotate-master", "--prepare")
    trilha(two, "keys", "import", given=trilha(one, "keys", "export"))
    trilha(one, "keys", "rotate-master")
    trilha(one, "keys", "rotate-master", "--finish")
    assert shared_keys_of(one) == "ok"
    assert shared_keys_of(two) == "warning"  # no worker ran there yet
    assert "--force" in trilha(one, "keys", "destroy", "--before", "2999-01-01", code=2)
    trilha(one, "keys", "destroy", "--older-than-days", "3")
    said = trilha(one, "keys", "list", "--json")
    found = json.loads(said)
    assert [mac["state"] for mac in found["mac"]] == ["mints", "announced"]
    assert all(day["in_ring"] and day["in_sql"] and not day["due"] for day in found["days"])
    assert found["sql_masters"] == found["masters"] == [found["master_current"]]
    ring = json.loads(trilha(one, "keys", "export"))
    secrets = [ring["lasting"], *ring["mac"]["keys"].values(), *(p["seal"] for p in ring["periods"].values())]
    assert not [secret for secret in secrets if secret in said]
