"""Commands, paths, decisions and links of the documentation are those of the product."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer
from starlette.routing import Route

from backends.sql.tables import metadata
from cli.main import make_app
from cli.reference_pages import FOLDER, pages
from daemon.api import Api
from daemon.openapi import describe
from daemon.telegram_webhook import TelegramWebhook

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("README*.md"), *DOCS.rglob("*.md")])


def without_code(text: str) -> str:
    """The text of a page; what stands in code is no link and no heading."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Path and anchor of every relative link of a page."""
    for target in re.findall(r"\]\(([^()\s]+)\)", without_code(page.read_text())):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield unquote(path), anchor


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made on the web."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def commands(command: Any, path: str = "trilha") -> Iterator[tuple[str, list[str]]]:
    """Every command that does something, with its options."""
    below = getattr(command, "commands", {})
    for name, child in below.items():
        yield from commands(child, f"{path} {name}")
    if not below:
        yield path, [option for param in command.params for option in param.opts if option.startswith("--")]


def sections(page: Path) -> dict[str, str]:
    """What stands under each `### \\`trilha …\\`` heading, by the command without its argument."""
    parts = re.split(r"^### `(trilha [a-z -]+?)(?: [A-Z]+)?`$", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_table_and_column_is_in_the_reference_of_stores_and_no_other() -> None:
    """A table's row names its columns; rows below without a name go on with it."""
    page = (DOCS / "reference" / "stores.md").read_text()
    rows = page.partition("\n## SQL\n")[2].partition("\n## ")[0].splitlines()
    found: dict[str, set[str]] = {}
    name = ""
    for first, second in (row.split("|")[1:3] for row in rows if row.startswith(("| `", "| |"))):
        name = first.strip(" `") or name
        found.setdefault(name, set()).update(re.findall(r"`([a-z_]+)`", second))
    assert found.pop("alembic_version") == {"version_num"}
    assert found == {table.name: {*table.columns.keys()} for table in metadata.sorted_tables}


def test_every_command_and_option_is_in_the_reference_and_no_other() -> None:
    documented = sections(DOCS / "reference" / "cli.md")
    known = dict(commands(typer.main.get_command(make_app())))
    assert documented.keys() == known.keys()
    missing = {
        (command, option)
        for command, options in known.items()
        for option in options
        if option != "--help" and option not in documented[command]
    }
    assert not missing


@pytest.mark.parametrize(("name", "text"), pages().items(), ids=pages())
def test_pages_that_are_read_off_the_code_are_of_this_code(name: str, text: str) -> None:
    """`python -m cli.reference_pages` writes them."""
    assert (FOLDER / name).read_text() == text


def test_every_path_of_the_private_listener_is_in_both_references_and_no_other() -> None:
    nobody: Any = None
    webhook = TelegramWebhook(bots=nobody, reception=nobody, blocks=nobody, clock=nobody)
    api = Api(
        associate=nobody,
        report=nobody,
        inspect=nobody,
        explain=nobody,
        bot_name=nobody,
        gate=nobody,
        health=nobody,
        metrics=lambda: b"",
        webhook=webhook,
    )
    paths = {route.path for route in api.app().routes if isinstance(route, Route)}
    text = (DOCS / "reference" / "http.md").read_text()
    private = text.partition("## Private listener")[2]
    assert set(re.findall(r"^### `(?:GET|POST) (\S+)`", private, re.MULTILINE)) == paths
    assert describe()["paths"].keys() == paths


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_every_decision_is_in_the_index() -> None:
    index = {path for path, _ in links(DOCS / "adr" / "README.md")}
    decisions = {page.name for page in (DOCS / "adr").glob("[0-9]*.md")}
    assert decisions
    assert decisions <= index


def test_every_page_is_in_the_index_of_the_documentation() -> None:
    index = {(DOCS / path).resolve() for path, _ in links(DOCS / "README.md")}
    pages = {page.resolve() for page in DOCS.rglob("*.md") if page.parent.name != "adr"}
    assert pages - index == {(DOCS / "README.md").resolve()}
