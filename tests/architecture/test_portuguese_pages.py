"""The pages in Portuguese tell what their English originals tell: the same commands, answers, tables and sections."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documented import blocks, typed

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "pt-BR").glob("*.md"))


def original(page: Path) -> Path:
    """The English page of the same name."""
    (found,) = (path for path in (DOCS / page.name, DOCS / "how-to" / page.name) if path.exists())
    return found


def without_comments(text: str) -> str:
    return re.sub(r"(^|\s+)# .*$", "", text, flags=re.MULTILINE)


def rows(page: Path) -> int:
    return len(re.findall(r"^\|", page.read_text(), re.MULTILINE))


def headings(page: Path) -> list[str]:
    """How deep each heading is."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+(?= )", text, re.MULTILINE)


def settings(page: Path) -> set[str]:
    """The settings, and the commands of trilha, that it names."""
    return set(re.findall(r"TRILHA_[A-Z_]+[A-Z]|trilha [a-z-]+(?: [a-z-]+)?(?=[ `])", page.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_portuguese_page_has_the_commands_and_answers_of_the_english_one(page: Path) -> None:
    """Comments alone are translated; a comment that promises an answer is not."""
    english = original(page)
    assert typed(page) == typed(english)
    kinds = [(kind, without_comments(text)) for kind, text in blocks(page)]
    assert kinds == [(kind, without_comments(text)) for kind, text in blocks(english)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_portuguese_page_has_the_sections_and_rows_of_the_english_one(page: Path) -> None:
    english = original(page)
    assert headings(page) == headings(english)
    assert rows(page) == rows(english)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_portuguese_page_names_the_settings_and_commands_of_the_english_one(page: Path) -> None:
    assert settings(page) >= settings(original(page))
