"""HTML and SVG from Python, as all reports make it, and the anchors of drills."""

from __future__ import annotations

from analytics.markup import Html, element, hidden, joined, text

__all__ = ["Html", "element", "hidden", "joined", "slug", "text"]


def slug(name: str) -> str:
    """The name as the anchor of a drill."""
    return "drill-" + "".join(each if each.isascii() and each.isalnum() else "-" for each in name)
