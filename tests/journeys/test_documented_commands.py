"""A newcomer who types what the first pages say, in their order, sees what they say."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documented import Typed, blocks, missing, typed
from tests.npm_registry import city_files, open_registry
from tests.system import ROOT
from tests.up import Up

PAGES = ["README.md", "README.pt-BR.md", "docs/quickstart.md", "docs/tutorial.md"]
OWN_BOT = "my_shop_bot"
OF_CI = ("scripts/test", "scripts/check")
TRILHA = ".venv/bin/trilha "
ANSWERED = {"user add": "correct horse battery\n"}
"""What is typed when a command asks."""
ASKED_AGAIN = ("curl", *(TRILHA + name for name in ("explain", "report", "click show", "accounting")))
"""What changes nothing, and is seen a moment later when links have been followed and clicks settled."""
PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.2


class Newcomer:
    """Somebody with a checkout of their own, and what they have typed and seen."""

    def __init__(self, folder: Path, registry: str) -> None:
        self._folder = folder
        self._up = Up(folder / "var")
        self._environment = self._up.environment | {"TRILHA_NPM_REGISTRY": registry, "COLUMNS": "120"}
        del self._environment["TRILHA_GEOIP_PATHS"], self._environment["TRILHA_TRUSTED_PROXIES"]
        self._token = ""
        self.typed: list[str] = []
        self.own_link_after = 0
        self._check_out()

    def _check_out(self) -> None:
        """`.venv/bin/trilha` is there, and runs this code."""
        program = self._folder / ".venv" / "bin" / "trilha"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -m cli.main "$@"\n')
        program.chmod(0o700)

    def types(self, asked: Typed) -> None:
        """One command, which has to end well and answer what the page shows."""
        self.typed.append(asked.command)
        if asked.command in OF_CI:
            assert asked.command in (ROOT / ".ci" / "run").read_text()
        elif asked.command == "scripts/up":
            self._up.begin()
            assert "Trilha is up" in self._up.said, self._up.said
        else:
            self._sees(asked)

    def leaves(self) -> None:
        """Ctrl-C."""
        if process := getattr(self._up, "process", None):
            assert self._up.interrupt() == 0, self._up.said
            process.stdout.close()

    def _sees(self, asked: Typed) -> None:
        deadline = time.monotonic() + (PATIENCE_SECONDS if asked.command.startswith(ASKED_AGAIN) else 0)
        while True:
            answer = self._run(asked.command)
            wanting = missing(tuple(self._here(line) for line in asked.shown), answer.stdout)
            if wanting is None and answer.returncode == 0:
                break
            if time.monotonic() >= deadline:
                pytest.fail(
                    f"{asked.command}\nis to answer: {wanting}\nanswers:\n{answer.stdout}{answer.stderr}"
                )
            time.sleep(POLL_SECONDS)
        if location := re.search(
            r"^location: https://t\.me/(\w+)\?start=([\w-]+)", answer.stdout, re.MULTILINE
        ):
            self._token = location[2]
            if location[1] == OWN_BOT and not self.own_link_after:
                self.own_link_after = len(self.typed)

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        if not command.startswith((TRILHA, "curl -i ")):
            pytest.fail(f"nobody has taught this test to run: {command}")
        asks = (given for name, given in ANSWERED.items() if command.startswith(TRILHA + name))
        return subprocess.run(
            ["bash", "-c", self._with_token(self._here(command))],
            cwd=self._folder,
            env=self._environment,
            input=next(asks, ""),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def _here(self, text: str) -> str:
        """With the ports of this run."""
        ports = {"8080": self._up.public, "8081": self._up.private, "8082": self._up.pages}
        for port, ours in ports.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ours}")
        return text

    def _with_token(self, command: str) -> str:
        """With the token that the last curl was given, in the place of the page's."""
        return re.sub(r"\bTOKEN\b|\bE[A-Za-z0-9_-]{12,}…", self._token or "no-token-yet", command)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `geoip fetch` asks."""
    with open_registry(city_files(tmp_path_factory.mktemp("cities"))) as made:
        yield made.url


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_does_what_the_page_says(page: str, tmp_path: Path, registry: str) -> None:
    newcomer = Newcomer(tmp_path, registry)
    try:
        for asked in typed(ROOT / page):
            newcomer.types(asked)
    finally:
        newcomer.leaves()
    assert 0 < newcomer.own_link_after < 10, newcomer.typed


def test_a_command_without_a_way_to_run_it_fails(tmp_path: Path, registry: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="nobody has taught"):
        Newcomer(tmp_path, registry).types(Typed(command="make install", shown=()))


def test_another_answer_than_the_page_shows_fails(tmp_path: Path, registry: str) -> None:
    for shown in ("The books are closed.", "0 done"):
        with pytest.raises(pytest.fail.Exception, match="is to answer"):
            Newcomer(tmp_path / shown[:1], registry).types(
                Typed(command=".venv/bin/trilha link --help", shown=(shown,))
            )


def test_both_readmes_have_the_same_commands_and_as_many_rows() -> None:
    """So neither language knows less."""
    english, portuguese = ROOT / "README.md", ROOT / "README.pt-BR.md"
    assert [one.command for one in typed(portuguese)] == [one.command for one in typed(english)]
    rows, linhas = (len(re.findall(r"^\|", page.read_text(), re.MULTILINE)) for page in (english, portuguese))
    assert linhas == rows
    assert len(blocks(portuguese)) == len(blocks(english))
