"""Starting the command line: what is called is imported, and nothing that only others need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cli.main import COMMANDS, make_app
from tests.commands import Commands

SLOW = (
    "alembic",
    "mako",
    "redis",
    "httpx2",
    "starlette",
    "uvicorn",
    "ua_parser",
    "chaos",
    "loadtests",
    "daemon",
)
SHOW = f"""
import atexit, sys
from cli.main import run
atexit.register(lambda: print("imported:", *(name for name in {SLOW} if name in sys.modules)))
run()
"""


@pytest.mark.parametrize("words", [("link", "list"), ("user", "list")])
def test_a_list_is_shown_without_the_libraries_of_other_commands(
    words: tuple[str, ...], tmp_path: Path, sqlite_tables: str
) -> None:
    """They took two thirds of its time."""
    given = {"TRILHA_HOME_DIR": str(tmp_path), "TRILHA_SQL_URL": sqlite_tables}
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *words],
        env=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines()[-1].split() == ["imported:"]


def test_a_command_alone_is_the_same_as_among_all() -> None:
    """Alone it would else be the program itself, and its own name an argument."""
    whole = typer.main.get_command(make_app())
    assert list(whole.commands) == list(COMMANDS)
    for name in ("report", "link"):
        alone = typer.main.get_command(make_app([name])).commands
        assert list(alone) == [name]
        assert alone[name].help == whole.commands[name].help
        assert [each.name for each in alone[name].params] == [
            each.name for each in whole.commands[name].params
        ]


def test_a_wrong_word_is_told_which_commands_are_near(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    trilha = Commands(monkeypatch, capsys, home_dir=str(tmp_path))
    assert "'rollups'" in trilha("rollup", code=2).err
    assert "bot-account" in trilha("--help").out
