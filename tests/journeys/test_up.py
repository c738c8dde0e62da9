"""`trilha up` and the commands beside it, as a newcomer types them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chaos.servers import free_port
from tests.geo_files import FLAT4, make_database
from tests.system import ROOT

VISITOR = {
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Mobile/22B91 Instagram 361.0.0.35.82 (iPhone15,4; iOS 18_1_1; pt_BR; pt; scale=3.00; 1179x2556; 674117118)",
    "X-Forwarded-For": "179.123.45.67",
}


class Up:
    """One `trilha up`, and commands with its settings."""

    def __init__(self, home: Path, *options: str) -> None:
        self.public, self.private, self.pages = free_port(), free_port(), free_port()
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TRILHA_")
        } | {
            "TRILHA_HOME_DIR": str(home),
            "TRILHA_PUBLIC_BIND": f"127.0.0.1:{self.public}",
            "TRILHA_PRIVATE_BIND": f"127.0.0.1:{self.private}",
            "TRILHA_DASHBOARD_BIND": f"127.0.0.1:{self.pages}",
            "TRILHA_TRUSTED_PROXIES": "127.0.0.1/32",
            "TRILHA_GEOIP_PATHS": str(home.parent),
        }
        self.said = ""
        self.options = options

    def begin(self) -> None:
        """Start it and read until it has said how to try it."""
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "cli.main", "up", *self.options],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # If it never says so, end it: the read below then ends too, and the test fails on what was said.
        alarm = threading.Timer(40, self.process.kill)
        alarm.start()
        while "Ad URL" not in self.said and (line := self.process.stdout.readline()):
            self.said += line
        alarm.cancel()

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=40)
        self.said += said
        return self.process.returncode

    def family(self) -> list[psutil.Process]:
        """The processes it started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def click(self, **headers: str) -> str:
        """Follow the demo link with the curl line's URL; the token."""
        url = re.search(r"curl -i '([^']+)'", self.said).group(1)
        opener = urllib.request.build_opener(_NoRedirect)
        with pytest.raises(urllib.request.HTTPError) as answer:
            opener.open(urllib.request.Request(url, headers=headers), timeout=5)
        with answer.value as found:
            assert found.code == 302
            location = found.headers["location"]
        assert location.startswith("https://t.me/trilha_demo_bot?start=")
        return location.rpartition("=")[2]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One `trilha` command."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *words: str) -> dict | list:
        """What a command prints with --json."""
        answer = self.command(*words, "--json")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Running; ended afterwards if the test has not done so."""
    make_database(tmp_path / "places.mmdb", FLAT4, kind="dbip-city", version=4)
    made = Up(tmp_path / "home")
    made.begin()
    yield made
    if made.process.poll() is None:
        made.interrupt()
    made.process.stdout.close()


def test_a_first_click_goes_all_the_way_and_ctrl_c_leaves_nothing_behind(up: Up) -> None:
    """Click, start, look, books: then every process is gone, and everything is in SQL, classed and with its place."""
    assert "embedded Valkey" in up.said
    assert "API key    trk_" in up.said
    token = up.click(**VISITOR, Purpose="prefetch")

    first = up.json("start", token, "--telegram-id", "42")
    second = up.json("start", token, "--telegram-id", "43")
    assert (first["owner"], second["owner"]) == (True, False)
    assert first["click"]["utm"] == {"utm_source": "fb", "utm_campaign": "Teste|120210"}
    assert second["click"] is None
    shown = _scored(up, token)
    assert (shown["class"], shown["geo"]["region"], shown["agent"]["app"]) == ("in_app", "SP", "Instagram")
    assert shown["owner"]["telegram_id"] == 42
    assert (shown["durability"], shown["visible"], shown["settled"]) == ("synced", True, True)
    # Of the machine (its clock, its user) doctor says what is so there.
    assert {found["verdict"] for found in up.json("doctor") if found["check"] != "host"} == {"ok"}

    last = up.click(**VISITOR)
    family = up.family()
    assert {"valkey-server" in " ".join(process.cmdline()) for process in family} == {True, False}
    assert up.interrupt() == 0
    assert "nothing is lost" in up.said
    assert not [process for process in family if process.is_running()]
    books = up.json("accounting")
    assert (books["issued"], books["in_sql"], books["in_spools"], books["balanced"]) == (2, 2, 0, True)
    shown = up.json("click", "show", last)
    assert (shown["settled"], shown["class"], shown["geo"]["city"]) == (True, "in_app", "Sao Paulo")


def test_a_changed_link_is_followed_within_seconds(up: Up) -> None:
    """A new bot reaches the running daemon without a restart, and a paused link stops."""
    up.json("bot-account", "add", "@another_bot")
    up.json("link", "edit", "demo", "--bot", "another_bot")
    _until(up, lambda answer: "/another_bot?" in answer)
    up.json("link", "pause", "demo")
    _until(up, lambda answer: answer.startswith("HTTP/1.1 410"))
    up.json("link", "edit", "demo", "--fallback-url", "https://example.com/fim")
    _until(up, lambda answer: "location: https://example.com/fim" in answer)


def test_its_death_by_sigkill_leaves_no_orphans(up: Up) -> None:
    """The children are tied to it."""
    family = up.family()
    up.process.kill()
    up.process.wait(10)
    gone, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert set(gone) == set(family)
    assert len(family) >= 3  # the dashboard comes last


def test_a_child_that_dies_is_started_again(up: Up) -> None:
    """SIGKILL of the daemon costs moments."""
    serve = next(process for process in up.family() if process.cmdline()[-1] == "serve")
    serve.kill()
    _until(up, lambda answer: answer.startswith("HTTP/1.1 302"))
    assert "serve" in [process.cmdline()[-1] for process in up.family()]


def test_the_dashboard_runs_too_and_the_greeting_says_how_to_get_in(up: Up) -> None:
    """It gives way to redirects, and ends without them."""
    assert f"dashboard  http://127.0.0.1:{up.pages}/   (first: trilha user add NAME --role owner)" in up.said
    (pages,) = [process for process in up.family() if process.cmdline()[-1] == "dashboard"]
    tries = threading.Event()
    while pages.is_running() and not _listens(up.pages):
        tries.wait(0.05)
    with urllib.request.urlopen(f"http://127.0.0.1:{up.pages}/sign-in", timeout=20) as answer:
        assert answer.status == 200
    assert pages.nice() == 10


def test_a_taken_port_is_a_clear_error(tmp_path: Path) -> None:
    """Which address, and which setting to change; exit code 2, and nothing is left running."""
    made = Up(tmp_path / "home")
    with socket.create_server(("127.0.0.1", made.public)):
        answer = made.command("up")
    assert answer.returncode == 2
    assert f"127.0.0.1:{made.public}" in answer.stderr
    assert "TRILHA_PUBLIC_BIND" in answer.stderr


def test_a_second_one_on_the_same_home_is_a_clear_error(up: Up) -> None:
    """It says that another is running."""
    answer = up.command("up")
    assert answer.returncode == 2
    assert "in use by another trilha up" in answer.stderr


def test_without_redis_it_runs_on_disk_and_sql_and_says_so(tmp_path: Path) -> None:
    """Redis is optional: the click is as durable without it."""
    made = Up(tmp_path / "home", "--without-redis")
    made.begin()
    try:
        assert "running on disk + SQL" in made.said
        token = made.click()
        assert made.json("start", token, "--telegram-id", "7")["owner"]
    finally:
        assert made.interrupt() == 0
        made.process.stdout.close()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["start", "not-a-token", "--telegram-id", "1"], 1, "the token is refused (malformed)"),
        (["click", "show", "A" * 62], 1, "the token is refused"),
        (["link", "show", "nothing"], 2, "no link 'nothing'"),
        (["link", "add", "/bad", "--bot", "demo_bot"], 2, "not a slug"),
        (["link", "add", "fine", "--bot", "nobody_bot"], 2, "Register it first"),
        (["bot-account", "add", "x y"], 2, "not a bot username"),
        (["accounting", "--since", "yesterday"], 2, "not a duration"),
        (["keys", "create"], 2, "exists already"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(up_home: Up, words: list[str], code: int, says: str) -> None:
    """No traceback, a stable exit code, and what to do."""
    answer = up_home.command(*words)
    assert answer.returncode == code
    assert says in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.fixture(scope="module")
def up_home(tmp_path_factory: pytest.TempPathFactory) -> Up:
    """A home with keys and tables, and nothing running."""
    made = Up(tmp_path_factory.mktemp("up") / "home")
    assert made.command("keys", "create").returncode == 0
    assert made.command("migrate").returncode == 0
    return made


def test_a_lost_key_ring_is_not_silently_replaced(up: Up) -> None:
    """A new ring would refuse every token in circulation: where a daemon has run, `up` asks for the backup."""
    assert up.interrupt() == 0
    (Path(up.environment["TRILHA_HOME_DIR"]) / "secrets" / "keyring.json").unlink()
    answer = up.command("up")
    assert answer.returncode == 2
    assert "Restore it from your backup" in answer.stderr


def test_looking_before_the_first_start_does_not_stand_in_its_way(tmp_path: Path) -> None:
    """`doctor` and `migrate` leave files behind, but no clicks: `up` still makes its keys."""
    made = Up(tmp_path / "home", "--without-redis")
    assert made.command("doctor").returncode == 1
    assert made.command("migrate").returncode == 0
    made.begin()
    assert "Trilha is up" in made.said
    assert made.interrupt() == 0
    made.process.stdout.close()


def test_a_redis_url_of_an_unknown_kind_is_named_without_being_shown(tmp_path: Path) -> None:
    """The URL may hold a password."""
    made = Up(tmp_path / "home")
    made.environment["TRILHA_REDIS_URL"] = "carrier-pigeon://:hunter2@coop"
    answer = made.command("doctor")
    assert answer.returncode == 1
    assert "TRILHA_REDIS_URL" in answer.stdout
    assert "hunter2" not in answer.stdout + answer.stderr


def test_serve_without_keys_says_how_to_make_them(tmp_path: Path) -> None:
    """There is no default secret."""
    answer = Up(tmp_path / "home").command("serve")
    assert answer.returncode == 2
    assert "trilha keys create" in answer.stderr


def _scored(up: Up, token: str) -> dict:
    """The click once its worker has counted that it was redeemed."""
    for _ in range(10):
        shown = up.json("click", "show", token)
        if "redeemed" in shown["evidence"]:
            break
    return shown


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


def _until(up: Up, holds: object) -> None:
    """Ask the daemon until its answer is as wanted, 5 s at most: what a changed link is promised."""
    tries = threading.Event()
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", up.public), 5) as connection:
                connection.sendall(b"GET /go/demo HTTP/1.1\r\nhost: go.example\r\nconnection: close\r\n\r\n")
                answer = connection.makefile("rb").read().decode()
        except OSError:
            answer = ""
        if holds(answer):
            return
        tries.wait(0.05)
    raise AssertionError(f"not within 5 s: {answer}")
