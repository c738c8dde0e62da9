"""Asks the advisory service about everything that is locked, and says what is neither fixed nor accepted."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements/run.txt", "requirements/dev.txt")
FOUND, NOT_ASKED = 1, 3


def main() -> int:
    """0: nothing is known against any of them; 1: something is; 3: the service could not be asked about all of them."""
    accepted = {
        entry["id"]: entry
        for entry in tomllib.loads(Path("requirements/advisories.toml").read_text())["accepted"]
    }
    status = 0
    for lock in LOCKS:
        answered = _asked(lock)
        silent = [package["name"] for package in answered if "skip_reason" in package]
        open_ones = [
            (package, vuln)
            for package in answered
            for vuln in package.get("vulns", [])
            if not accepted.keys() & _ids(vuln)
        ]
        for package, vuln in open_ones:
            fixed = ", ".join(vuln["fix_versions"]) or "no release"
            print(f"audit: {lock}: {package['name']} {package['version']} has {vuln['id']}, fixed in {fixed}")
        if silent or not answered:
            print(
                f"audit: {lock}: NOT AUDITED: the advisory service did not answer for {len(silent) or 'any'} of its packages"
            )
        else:
            print(
                f"audit: {lock}: {len(answered)} packages, {len(open_ones)} open advisories, {len(accepted)} accepted"
            )
        status = FOUND if open_ones or status == FOUND else NOT_ASKED if silent or not answered else status
    return status


def _asked(lock: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package; nothing when it cannot reach its service at all."""
    command = [
        Path(sys.executable).with_name("pip-audit"),
        "-r",
        lock,
        "--disable-pip",
        "--no-deps",
        "-f",
        "json",
        "--progress-spinner",
        "off",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    try:
        said: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return []
    return said


def _ids(vuln: dict[str, Any]) -> set[str]:
    return {vuln["id"], *vuln["aliases"]}


if __name__ == "__main__":
    sys.exit(main())
