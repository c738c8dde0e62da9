"""What the site does beyond Markdown: folders in its navigation, and links to files that are not part of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
_LINK = r"\[([^\]]*)\]\((?:\.\./){%d}[\w./#-]+\)"


def on_config(config: Any) -> Any:
    """`folder/*` in the navigation becomes the folder's pages."""
    config.nav = [_expanded(entry) for entry in config.nav]
    return config


def on_page_markdown(markdown: str, page: Any, **_rest: Any) -> str:
    """Links that lead out of the documentation become plain text."""
    return re.sub(_LINK % (page.file.src_uri.count("/") + 1), r"\1", markdown)


def _expanded(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {title: [page for name in pages for page in _pages(name)] for title, pages in entry.items()}


def _pages(name: str) -> list[str]:
    if not name.endswith("/*"):
        return [name]
    # README.md, the index, sorts after the numbers and belongs before them.
    found = sorted((DOCS / name[:-2]).glob("*.md"), key=lambda page: (page.name != "README.md", page.name))
    return [str(page.relative_to(DOCS)) for page in found]
