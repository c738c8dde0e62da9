"""Every long-running command on a socket of its service manager: it answers there, says so, and leaves it as it was."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from runtime.settings import child_environment
from tests.daemon_fixture import Site
from tests.handed_over import PATIENCE, Systemd
from tests.system import ROOT


@pytest.mark.parametrize(("command", "path"), [("work", "/readyz"), ("dashboard", "/sign-in")])
async def test_a_command_answers_on_the_socket_it_was_handed_and_visitors_wait_for_its_next_start(
    site: Site, tmp_path: Path, command: str, path: str
) -> None:
    systemd = Systemd(tmp_path / "notify")
    environment = child_environment(home_dir=str(site.settings.home_dir), sql_url=site.settings.sql)
    with systemd.ears() as ears:
        for _ in range(2):
            waiting = asyncio.create_task(systemd.asked(path))  # before anybody is there to answer
            with systemd.running(command, command, environment) as process:
                await systemd.until_ready(ears)
                assert b"HTTP/1.1 200" in await waiting
                process.terminate()
                assert await asyncio.to_thread(process.wait, PATIENCE) == 0


async def test_a_socket_under_a_name_that_a_command_does_not_know_is_an_error_that_says_the_right_one(
    site: Site, tmp_path: Path
) -> None:
    systemd = Systemd(tmp_path / "notify")
    environment = child_environment(home_dir=str(site.settings.home_dir), sql_url=site.settings.sql)
    with systemd.ears(), systemd.running("work", "public", environment) as process:
        _, said = await asyncio.to_thread(process.communicate, None, PATIENCE)
    assert process.returncode == 2
    assert "FileDescriptorName=work" in " ".join(said.decode().split())
    assert os.fspath(ROOT) not in said.decode()  # no traceback
