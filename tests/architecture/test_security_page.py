"""The page on security names tests that exist, and every area that is demanded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
ROWS = re.findall(r"^\| ([^|]+) \| [^|]+ \| (`tests/[^|]+) \|$", PAGE, re.MULTILINE)
AREAS = (
    "open redirect", "headers and CRLF", "proxies' headers", "token", "parameters", "logs", "caches and prefetches",
    "slow and many clients", "methods", "requests of ours", "secrets", "administration", "stores", "spool", "failure", "dependencies",
)  # fmt: skip


def test_every_area_has_its_row() -> None:
    assert [area.partition(",")[0] for area, _ in ROWS] == list(AREAS)


@pytest.mark.parametrize(("area", "proofs"), ROWS, ids=[area for area, _ in ROWS])
def test_every_test_that_the_page_names_exists(area: str, proofs: str) -> None:
    named = re.findall(r"`(tests/[^`:]+)::(test_\w+)`", proofs)
    assert named, area
    assert len(named) == proofs.count("::")
    for path, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), (
            f"{path}::{name}"
        )
