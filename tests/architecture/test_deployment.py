"""What deploy/ holds names only settings, commands and listeners that there are, and gives away no more than it says."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from cli.main import make_app
from runtime.settings import PREFIX, Settings, load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = DEPLOY / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
SOCKETS = sorted(UNITS.glob("*.socket"))
# What `systemd-analyze security` says, in tenths of 10 (0: nothing is left to take away). Debian 12 says 1.2 of each.
EXPOSURE = 13
COMPOSE = DEPLOY / "docker" / "compose.yaml"
FILES = [path for path in DEPLOY.rglob("*") if path.is_file()] + [
    ROOT / "docs" / "how-to" / "install-on-debian.md",
    ROOT / "docs" / "how-to" / "docker.md",
    ROOT / "docs" / "troubleshooting.md",
    ROOT / "scripts" / "try-guide",
]


def entries(unit: Path) -> dict[str, list[str]]:
    """What a unit sets: the values of each name, in their order."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^([A-Za-z]+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def commands(command: Any, path: str = "") -> Iterator[str]:
    """Every command, and every group of them."""
    for name, child in getattr(command, "commands", {}).items():
        yield f"{path} {name}".strip()
        yield from commands(child, f"{path} {name}".strip())


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


KNOWN = set(commands(typer.main.get_command(make_app())))
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields} | {"TRILHA_CONFIG"}
# Settings that the documents of a release name and that an older one need not have are none: this list stays empty.


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("systemd-analyze")
    if not found:
        pytest.fail("systemd-analyze is not installed, and this test runs it: apt-get install systemd")
    return subprocess.run([found, *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with programs that are on this machine: `verify` wants to see them."""
    for path in UNITS.glob("trilha*.*"):
        if path.suffix in {".service", ".socket", ".target", ".timer"}:
            text = re.sub(r"(?m)^(ExecStart|ExecReload)=\S+", r"\1=/bin/true", path.read_text())
            (tmp_path / path.name).write_text(text)
    return tmp_path


def test_systemd_understands_every_line_of_the_units(units: Path) -> None:
    said = systemd_analyze("verify", "--man=no", *(str(path) for path in sorted(units.iterdir())))
    of_ours = [line for line in (said.stdout + said.stderr).splitlines() if "trilha" in line]
    assert not of_ours
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_a_service_is_exposed_to_little(unit: Path) -> None:
    said = systemd_analyze("security", "--no-pager", "--offline=yes", f"--threshold={EXPOSURE}", str(unit))
    assert said.returncode == 0, said.stdout.splitlines()[-1:]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_a_service_runs_a_command_that_there_is_as_the_services_user(unit: Path) -> None:
    given = entries(unit)
    (start,) = given["ExecStart"]
    program, command = start.split(" ", 1)
    assert program == "/opt/trilha/venv/bin/trilha"
    assert command.split()[0] in KNOWN
    assert given["User"] == given["Group"] == ["trilha"]
    assert given["StateDirectoryMode"] == ["0700"]
    assert given["UMask"] == ["0077"]
    if given["Type"] == ["oneshot"]:
        # It ends by itself, and its timer starts it.
        assert unit.with_suffix(".timer").exists()
        return
    assert command in KNOWN
    assert given["Restart"] == ["always"]
    assert given["PartOf"] == ["trilha.target"]
    assert given["WantedBy"] == ["trilha.target"]


def test_no_service_needs_a_store_to_start() -> None:
    for unit in SERVICES:
        given = entries(unit)
        needed = str([given.get(name) for name in ("Requires", "Wants", "BindsTo")])
        assert not re.search(r"postgres|redis|valkey", needed), unit.name


@pytest.mark.parametrize("unit", SOCKETS, ids=lambda path: path.stem)
def test_a_socket_is_where_its_setting_says_and_of_this_machine_alone(unit: Path) -> None:
    given = entries(unit)
    (name,) = given["FileDescriptorName"]
    (address,) = given["ListenStream"]
    (service,) = given["Service"]
    settings = load_settings({"TRILHA_CONFIG": str(UNITS / "trilha.toml")})
    assert address == str(getattr(settings, f"{name}_bind"))
    assert address.startswith("127.0.0.1:")
    assert unit.name in entries(UNITS / service)["Requires"][0].split()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_setting_that_is_named_is_one(path: Path) -> None:
    assert set(re.findall(r"\bTRILHA_[A-Z_]+[A-Z]\b", path.read_text())) <= SETTINGS


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".md"], ids=lambda path: path.stem)
def test_every_command_that_is_named_is_one(path: Path) -> None:
    code = re.findall(
        r"`([^`\n]+)`|^((?:# |\$ )?(?:trilha|docker compose).*)$", path.read_text(), re.MULTILINE
    )
    for words in re.findall(
        r"(?:^|# |\$ |run (?:--rm )?)trilha ((?:[a-z-]+ ?)+)", "\n".join(map("".join, code)), re.MULTILINE
    ):
        first = words.split()
        assert first[0] in KNOWN or first[0].endswith("-"), words
        if any(name.startswith(first[0] + " ") for name in KNOWN) and len(first) > 1:
            assert " ".join(first[:2]) in KNOWN, words


@pytest.mark.parametrize(
    "path", sorted(DEPLOY.rglob("*.toml")), ids=lambda path: str(path.relative_to(DEPLOY))
)
def test_a_settings_file_can_be_used_as_it_is(path: Path) -> None:
    if path.name == "trilha.toml":
        assert load_settings({"TRILHA_CONFIG": str(path)}).home_dir.is_absolute()
    else:
        tomllib.loads(path.read_text())


# ---------------------------------------------------------------- containers


def ours() -> dict[str, Any]:
    return {name: given for name, given in services().items() if given["image"] == "trilha"}


def test_a_container_is_given_nothing_that_it_does_not_need() -> None:
    for name, given in services().items():
        assert given["read_only"] is True, name
        assert given["cap_drop"] == ["ALL"], name
        assert given["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in given, name
        assert name not in ours() or "cap_add" not in given, name


def test_every_process_of_a_machine_is_a_container() -> None:
    run = {given["command"][0] for given in ours().values() if "command" in given}
    assert run == {"serve", "work", "bot", "dashboard", "migrate"}
    assert run <= KNOWN


def test_what_containers_publish_is_of_this_machine_and_no_private_listener() -> None:
    settings = load_settings({"TRILHA_CONFIG": str(DEPLOY / "docker" / "trilha.toml")})
    published = [port for given in services().values() for port in given.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert {int(port.rpartition(":")[2]) for port in published} == {
        settings.public_bind.port,
        settings.dashboard_bind.port,
    }
    for bind in (settings.private_bind, settings.bot_bind, settings.work_bind):
        assert bind is not None
        assert bind.host == "127.0.0.1"


def test_every_container_is_asked_how_it_is_at_a_listener_that_it_has() -> None:
    settings = load_settings({"TRILHA_CONFIG": str(DEPLOY / "docker" / "trilha.toml")})
    asked = {
        name: int(re.findall(r"127\.0\.0\.1:(\d+)/healthz", " ".join(given["healthcheck"]["test"]))[0])
        for name, given in ours().items()
        if "test" in given.get("healthcheck", {})
    }
    assert settings.work_bind is not None
    assert asked == {
        "work": settings.work_bind.port,
        "bot": settings.bot_bind.port,
        "dashboard": settings.dashboard_bind.port,
    }
    image = (DEPLOY / "docker" / "Dockerfile").read_text()
    assert f"127.0.0.1:{settings.private_bind.port}/healthz" in image


def test_images_have_a_version_and_no_password_stands_in_the_compose_file() -> None:
    for name, given in services().items():
        assert given["image"] == "trilha" or re.fullmatch(
            r"[a-z/]+:[0-9]+\.[0-9.]+-bookworm", given["image"]
        ), name
        for variable in given.get("environment", {}):
            assert "PASSWORD" not in variable or variable.endswith("_FILE"), name


def test_the_image_is_made_of_the_lock_and_runs_as_nobody_in_particular() -> None:
    lines = (DEPLOY / "docker" / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert all(re.fullmatch(r"python:3\.[0-9]+\.[0-9]+-slim-bookworm", base) for base in bases)
    assert any("--require-hashes -r requirements/run.txt" in line for line in lines)
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert int(user.split(":")[0]) >= 1000
    assert not [line for line in lines if re.match(r"(ARG|ENV) .*(SECRET|TOKEN|PASSWORD|KEY)", line)]


def test_every_room_that_is_shipped_goes_into_the_image() -> None:
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]["packages"]
    taken = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{room}" for room in shipped} <= set(taken)


# ---------------------------------------------------------------- the guide


def test_the_guide_installs_units_and_files_that_there_are() -> None:
    guide = (ROOT / "docs" / "how-to" / "install-on-debian.md").read_text()
    for path in re.findall(r"/opt/trilha/src/(\S+\.\w+)", guide):
        assert (ROOT / path).exists(), path
    for unit in re.findall(r"trilha-[a-z-]+\.(?:service|socket)", guide):
        assert (UNITS / unit).exists(), unit
    for name in ("trilha.sysusers", "trilha-as-service", "trilha.toml"):
        assert name in guide
        assert (UNITS / name).exists()
