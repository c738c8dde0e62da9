"""`scripts/up --demo`, as a newcomer without Telegram credentials sees it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chaos.servers import free_port
from tests.meta.demo_sale import BUYER
from tests.system import ROOT

SECONDS = 180


class DemoRun:
    """Runs of the demo in one home, on ports of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.public = free_port()
        others = {name: value for name, value in os.environ.items() if not name.startswith("TRILHA_")}
        self.environment = others | {
            "TRILHA_HOME_DIR": str(home),
            "TRILHA_PRIVATE_BIND": f"127.0.0.1:{free_port()}",
            "TRILHA_BOT_BIND": f"127.0.0.1:{free_port()}",
            "TRILHA_DASHBOARD_BIND": f"127.0.0.1:{free_port()}",
        }

    def command(self, *options: str) -> list[str]:
        public = f"127.0.0.1:{self.public}"
        return [sys.executable, "-m", "tests.telegram.up_demo", "--public-bind", public, *options]

    def once(self) -> subprocess.CompletedProcess[str]:
        """To its end."""
        return subprocess.run(
            self.command("--once"),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def left(self) -> list[psutil.Process]:
        """Processes that work in its home: they name it, or were started for it."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            named = any(str(self.home) in word for word in process.cmdline())
            return named or process.environ().get("TRILHA_HOME_DIR") == str(self.home)
        except psutil.Error:
            return False


@pytest.fixture
def demo(tmp_path: Path) -> DemoRun:
    return DemoRun(tmp_path / "home")


def test_the_demo_goes_the_whole_way_and_leaves_nothing_running(demo: DemoRun) -> None:
    """The 302, the START, the reply, the click with owner, UTM and durability, the books, the sale at Meta; and the next day
    again.

    Tokens and api_hash lie in files of mode 0600, and nothing prints them; nor what the buyer tells of herself.
    """
    folder = demo.home / "telegram"
    for _ in range(2):
        run = demo.once()
        assert run.returncode == 0, run.stdout + run.stderr
        token = re.search(
            r"  302 -> https://t\.me/trilha_demo_bot\?start=([A-Za-z0-9_-]{62})\n", run.stdout
        ).group(1)
        assert re.search(r"  @trilha_demo_bot after \d+ ms: Olá, Ana!", run.stdout)
        assert f"$ trilha click show {token}\n" in run.stdout
        assert re.search(r"\nowner +bot trilha_demo_bot, telegram_id 42,", run.stdout)
        assert re.search(
            r"\nutm +utm_source facebook, .*utm_campaign Lancamento\|120210456789010123", run.stdout
        )
        assert re.search(r"\ndurability +synced\n", run.stdout)
        assert "The books balance." in run.stdout
        assert re.search(r"\nPurchase [0-9a-f-]{36}\n(?:  .*\n)+  meta/120210000000001: sent\n", run.stdout)
        assert re.search(r"matched +em ph fn external_id client_user_agent fbc\n", run.stdout)
        assert not any(
            told in run.stdout + run.stderr for told in BUYER.values() if "@" in told or "(" in told
        )
        assert "error" not in run.stderr
        assert demo.left() == []
        for name in ("bot-token", "bot-tokens", "api-hash", "telegram.key", "pixel-token"):
            assert (folder / name).stat().st_mode & 0o777 == 0o600
        for name in ("bot-token", "api-hash", "pixel-token"):
            assert (folder / name).read_text() not in run.stdout + run.stderr


@pytest.fixture
def going_on(demo: DemoRun) -> Iterator[subprocess.Popen[str]]:
    """A demo that has told how to go on; killed afterwards if it still runs."""
    process = subprocess.Popen(
        demo.command(),
        cwd=ROOT,
        env=demo.environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    alarm = threading.Timer(SECONDS, process.kill)
    alarm.start()
    said = ""
    while "click show TOKEN\n" not in said.rpartition("It goes on")[2] and (
        line := process.stdout.readline()
    ):
        said += line
    alarm.cancel()
    process.said = said
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_another_person_may_follow_until_ctrl_c_ends_it(
    demo: DemoRun, going_on: subprocess.Popen[str]
) -> None:
    """The command that it shows works; Ctrl-C, which a terminal sends to the whole group, ends all in order."""
    shown = re.search(r"-m tests\.telegram\.demo '([^']+)' (--folder .*)", going_on.said)
    other = subprocess.run(
        [sys.executable, "-m", "tests.telegram.demo", shown.group(1), *shown.group(2).split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert other.returncode == 0, other.stdout + other.stderr
    assert "Olá, Bia!" in other.stdout
    os.killpg(going_on.pid, signal.SIGINT)
    said, _ = going_on.communicate(timeout=SECONDS)
    assert going_on.returncode == 0
    assert "stopped; nothing is lost" in said
    assert demo.left() == []


def test_its_death_by_sigkill_leaves_no_orphans(demo: DemoRun, going_on: subprocess.Popen[str]) -> None:
    """The children are tied to it."""
    family = psutil.Process(going_on.pid).children(recursive=True)
    assert len(family) >= 7
    going_on.kill()
    going_on.wait(SECONDS)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


@pytest.mark.parametrize("name", ["TRILHA_PUBLIC_BIND", "TRILHA_PRIVATE_BIND", "TRILHA_BOT_BIND"])
def test_a_taken_port_is_a_clear_error(demo: DemoRun, name: str) -> None:
    """Which address, and which setting to change; another Trilha that listens there is not mistaken for the demo's."""
    public = {"TRILHA_PUBLIC_BIND": f"127.0.0.1:{demo.public}"}
    host, _, port = (demo.environment | public)[name].partition(":")
    with socket.create_server((host, int(port))):
        run = demo.once()
    assert run.returncode == 2
    assert f"{host}:{port}" in run.stderr
    assert name in run.stderr
    assert "Traceback" not in run.stderr
    assert not (demo.home / "secrets").exists()


def test_the_home_of_a_real_trilha_is_left_alone(demo: DemoRun) -> None:
    """The demo makes tokens and starts of its own, which have no place there."""
    (demo.home / "secrets").mkdir(parents=True)
    run = demo.once()
    assert run.returncode == 2
    assert "no demo" in run.stderr
    assert list(demo.home.iterdir()) == [demo.home / "secrets"]
