"""`trilha load run` on a real daemon: Locust in a process of its own, the report, and books that balance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from loadtests.plan import ROOT

LENIENT = """
[owner]
error_rate = 0.5
normal = { p95_ms = 600000 }
[ours]
error_rate = 0.0
normal = { p99_ms = 0.001 }
[generator]
late_p99_ms = 600000
"""


def load_run(folder: Path, *arguments: str, thresholds: str) -> subprocess.CompletedProcess[str]:
    file = folder / "thresholds.toml"
    file.write_text(thresholds)
    command = [sys.executable, "-m", "cli.main", "load", "run", *arguments]
    command += ["--thresholds", str(file), "--dir", str(folder), "--report", str(folder / "report"), "--json"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=400, env=os.environ.copy()
    )


def test_a_small_run_writes_its_report_balances_the_books_and_is_judged_twice(tmp_path: Path) -> None:
    """The owner's line holds, ours cannot: that passes. Whoever came is in SQL, starts with their owners."""
    done = load_run(tmp_path, "steady", "--scale", "0.08", "--shorten", "75", thresholds=LENIENT)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["verdict"] == "owner_only"
    accounts = said["accounts"]
    assert accounts["complaints"] == []
    assert accounts["answered"] == accounts["issued"] == accounts["stored"] >= said["acknowledged"] > 50
    starts = said["names"]["start"]
    assert starts["requests"] >= accounts["started"] >= starts["requests"] - starts["errors"] > 0
    assert all(reason.endswith(": 503") for reason in said["reasons"])  # a store too busy to be asked
    assert "requests/s" in done.stderr
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"report.html", "report.json", "seconds.csv", "totals.csv"}
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"report", "thresholds.toml"}
