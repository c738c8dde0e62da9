"""Load goes to this machine, unless somebody says that the other one is theirs; and no key is seen on the way."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli import main as command_line
from loadtests import run as running
from loadtests.job import Job, users_for
from loadtests.plan import ROOT, CannotRun
from loadtests.shapes import load_shape
from loadtests.target import check_target

THERE = ["--url", "http://127.0.0.1:1", "--private", "http://127.0.0.1:2"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:1", "http://localhost:8080/"]
)
def test_this_machine_is_a_target(url: str) -> None:
    assert check_target(url, own=False) == url.rstrip("/")


@pytest.mark.parametrize(
    "url", ["https://go.example.com", "http://203.0.113.9", "http://localhost.example.com"]
)
def test_another_machine_is_one_only_for_its_owner(url: str) -> None:
    with pytest.raises(CannotRun, match="--i-own-this-host"):
        check_target(url, own=False)
    assert check_target(url, own=True) == url


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://u:p@127.0.0.1", "http://", "http://127.0.0.1/?x=1"]
)
def test_what_is_no_listener_is_none_for_anybody(url: str) -> None:
    with pytest.raises(CannotRun, match="not the URL"):
        check_target(url, own=True)


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["trilha", "load", "run", *arguments])
    with pytest.raises(SystemExit) as ended:
        command_line.run()
    return ended.value.code


def test_without_locust_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running.importlib.util, "find_spec", lambda name: None)
    assert called(monkeypatch, "steady") == 2
    assert "pip install 'trilha[load]'" in capsys.readouterr().err


def test_half_a_target_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "steady", *THERE) == 2
    assert "--api-key-file" in capsys.readouterr().err


def test_a_key_that_others_may_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("very-secret")
    key.chmod(0o644)
    assert called(monkeypatch, "steady", *THERE, "--api-key-file", str(key)) == 2
    said = capsys.readouterr()
    assert "API key" in said.err
    assert "very-secret" not in said.err + said.out


def test_a_shape_that_there_is_not_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "tsunami") == 2
    assert "day, ramp, soak, spike, steady" in capsys.readouterr().err


def test_a_job_is_read_as_it_was_written_by_its_owner_alone(tmp_path: Path) -> None:
    job = Job(
        shape=load_shape("spike"),
        mix="owner",
        seed=3,
        public="http://127.0.0.1:1",
        private="http://127.0.0.1:2",
        api_key_file="/a/file",
        users=users_for(load_shape("spike")),
        grace=1.0,
        think=1.0,
        folder=str(tmp_path),
    )
    file = job.write()
    assert Job.read(file) == job
    assert file.stat().st_mode & 0o077 == 0
    assert job.users == 500


def test_neither_the_command_nor_the_parts_that_tests_use_import_locust() -> None:
    """It patches the interpreter when it is imported."""
    parts = "cli.main, loadtests.run, loadtests.capacity, loadtests.files, loadtests.crowd"
    code = f"import sys, {parts}; print([n for n in ('locust', 'gevent') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout.replace("'", '"')) == [], done.stderr
    assert importlib.util.find_spec("locust") is not None
