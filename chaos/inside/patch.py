"""Putting something of ours in the place of something of the product's, in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def replace(owner: Any, name: str, by: Callable[[Any], Any]) -> None:
    """Put `by(original)` in the place of `owner.name`. AttributeError when the product has no such thing any more."""
    setattr(owner, name, by(getattr(owner, name)))
