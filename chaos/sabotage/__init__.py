"""Planted bugs: each file makes the product, within its process, into a naive design that others have had.

The drills must find every one of them: what does not find a planted bug would not find a real one. Each file has a
docstring that says what the bug is, who has had it and what brings it to light, and a `plant()` that puts it there before
the command begins.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

BUGS = tuple(sorted(each.name for each in iter_modules([str(Path(__file__).parent)]) if each.name[0] != "_"))


def plant(name: str) -> None:
    """Put the bug into this process, for good. KeyError when there is none of that name."""
    if name not in BUGS:
        raise KeyError(name)
    import_module(f"chaos.sabotage.{name}").plant()
