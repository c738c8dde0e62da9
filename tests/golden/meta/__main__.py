"""Writes every case's file anew, and takes away those of cases that are no more. Look at the difference before you commit."""

from __future__ import annotations

from tests.golden.meta import FOLDER, names, write
from tests.golden.meta.cases import CASES, ready

for gone in names() - CASES.keys():
    (FOLDER / f"{gone}.json").unlink()
for name, case in CASES.items():
    write(name, ready(case).body)
