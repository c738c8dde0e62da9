"""What is installed is pinned with hashes, below no fixed advisory, and listed whole in the bill of materials."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / "requirements" / name for name in ("run.txt", "dev.txt")]
ADVISORIES = tomllib.loads((ROOT / "requirements" / "advisories.toml").read_text())


def pinned(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE))


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_is_pinned_and_has_its_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE).strip())
    assert len(entries) > 40
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\d", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
@pytest.mark.parametrize("advisory", ADVISORIES["fixed"], ids=lambda advisory: advisory["id"])
def test_no_lock_goes_back_below_a_fixed_advisory(advisory: dict[str, str], lock: Path) -> None:
    assert numbers(pinned(lock)[advisory["package"]]) >= numbers(advisory["since"])


@pytest.mark.parametrize("advisory", ADVISORIES["accepted"], ids=lambda advisory: advisory["id"])
def test_an_advisory_that_is_accepted_has_a_reason_and_a_proof_that_it_does_not_reach_us(
    advisory: dict[str, str],
) -> None:
    assert len(advisory["reason"]) > 40
    path, _, name = advisory["proof"].partition("::")
    assert f"def {name}(" in (ROOT / path).read_text()
    assert advisory["package"] in pinned(LOCKS[0])
    assert advisory["id"] in (ROOT / "docs" / "dependencies.md").read_text()


def test_the_bill_of_materials_has_every_package_that_runs_with_its_hashes(tmp_path: Path) -> None:
    out = tmp_path / "sbom.json"
    command = [
        "-W",
        "ignore",
        "-m",
        "cyclonedx_py",
        "requirements",
        str(LOCKS[0]),
        "--pyproject",
        str(ROOT / "pyproject.toml"),
        "-o",
        str(out),
    ]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    bill = json.loads(out.read_text())
    listed = {item["name"]: item for item in bill["components"]}
    assert {name: item["version"] for name, item in listed.items()} == pinned(LOCKS[0])
    for item in listed.values():
        assert any(reference.get("hashes") for reference in item["externalReferences"])
