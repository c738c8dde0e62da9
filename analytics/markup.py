"""HTML and SVG from Python: whatever is not markup already is escaped, so no text of somebody else can become a tag."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"meta", "br", "hr", "link"})


class Html(str):
    """Markup. Made by `element` and `joined`, and by hand only of text that stands in this program."""

    __slots__ = ()


def text(content: str) -> Html:
    """The content as text: markup stays, anything else is escaped."""
    return content if isinstance(content, Html) else Html(escape(content))


def joined(parts: Iterable[str | None], between: str = "") -> Html:
    """Parts one after another; None is nothing."""
    return Html(text(between).join(text(part) for part in parts if part is not None))


def element(tag: str, *children: str | None, **attributes: str | float | None) -> Html:
    """One element. `class_` is the attribute `class`, `_` stands for `-`, and an attribute that is None is left out."""
    start = tag + "".join(_attribute(name, value) for name, value in attributes.items() if value is not None)
    return Html(f"<{start}>" if tag in _VOID else f"<{start}>{joined(children)}</{tag}>")


def hidden(words: str) -> Html:
    """Words for those who do not see the sign beside them."""
    return element("span", words, class_="unseen")


def _attribute(name: str, value: str | float) -> str:
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name.rstrip("_").replace("_", "-")}="{escape(shown)}"'
