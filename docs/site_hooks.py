"""What the site does beyond Markdown: folders in its navigation, and links to files that are not part of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
_GROUP = r"(?ms)^([A-Z][\w ]+): (\[.*?)(?=\n\n|\Z)"
_LINK = r"\[([^\]]*)\]\((?:\.\./){%d}[\w./#-]+\)"


def on_config(config: Any) -> Any:
    """`folder/*` in the navigation becomes the folder's pages."""
    config.nav = [_expanded(entry) for entry in config.nav]
    return config


def on_page_markdown(markdown: str, page: Any, **_rest: Any) -> str:
    """Links that lead out of the documentation become plain text; the index, which is dense, becomes lists."""
    inside = re.sub(_LINK % (page.file.src_uri.count("/") + 1), r"\1", markdown)
    return re.sub(_GROUP, _listed, inside) if page.file.src_uri == "README.md" else inside


def on_post_page(output: str, page: Any, **_rest: Any) -> str:
    """A page in Portuguese says so to browsers and screen readers."""
    portuguese = page.file.src_uri.startswith("pt-BR/")
    return output.replace('<html lang="en"', '<html lang="pt-BR"', 1) if portuguese else output


def _listed(group: re.Match[str]) -> str:
    """`How to: [one](…) · [two](…)` as a heading and a list."""
    pages = re.split(r"\s+·\s+" if "·" in group[2] else r",\s+(?=\[)", group[2].strip())
    items = "\n".join(f"- {' '.join(page.split())}" for page in pages)
    return f'## {group[1]}\n\n<div class="index" markdown>\n\n{items}\n\n</div>\n'


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
