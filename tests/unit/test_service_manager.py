"""What the service manager is told, on a real socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.clock import ManualClock
from runtime.service_manager import ServiceManager


@pytest.fixture
def ears() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(f"\0trilha-unit-{os.getpid()}")
        made.settimeout(10)
        yield made


def said(**more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": f"@trilha-unit-{os.getpid()}", **more}


def test_ready_comes_with_a_line_for_people(ears: socket.socket) -> None:
    ServiceManager(said(), ManualClock()).ready("answering\nclicks")
    assert ears.recv(4096) == b"READY=1\nSTATUS=answering clicks"


def test_a_manager_that_listens_at_a_path_is_told_too(tmp_path: Path) -> None:
    place = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
        ears.bind(str(place))
        ears.settimeout(10)
        service = ServiceManager({"NOTIFY_SOCKET": str(place)}, ManualClock())
        service.status("one of two")
        service.stopping()
        assert ears.recv(4096) == b"STATUS=one of two"
        assert ears.recv(4096).split(b"\n")[0] == b"STOPPING=1"


def test_a_manager_that_does_not_read_holds_nobody_up(ears: socket.socket) -> None:
    """Its queue is full after a few; more than that is lost."""
    service = ServiceManager(said(), ManualClock())
    for _ in range(5000):
        service.status("going on")
    assert ears.recv(4096) == b"STATUS=going on"


def test_a_reload_says_when_it_began(ears: socket.socket) -> None:
    clock = ManualClock()
    clock.advance(1.5)
    ServiceManager(said(), clock).reloading()
    assert ears.recv(4096) == b"RELOADING=1\nMONOTONIC_USEC=1500000"


async def test_the_watchdog_is_told_from_the_event_loop_again_and_again(ears: socket.socket) -> None:
    service = ServiceManager(said(WATCHDOG_USEC="20000", WATCHDOG_PID=str(os.getpid())), ManualClock())
    ears.setblocking(False)
    telling = asyncio.create_task(service.keep_alive())
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        heard = [await loop.sock_recv(ears, 4096) for _ in range(3)]
    telling.cancel()
    assert heard == [b"WATCHDOG=1"] * 3


@pytest.mark.parametrize(
    "variables", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}]
)
async def test_without_a_watchdog_of_ours_nothing_is_told(variables: dict[str, str]) -> None:
    async with asyncio.timeout(10):
        await ServiceManager(said(**variables), ManualClock()).keep_alive()


@pytest.mark.parametrize("address", ["", "@", "vsock:2:1", "/nowhere/at/all"])
def test_telling_somebody_who_is_not_there_fails_nothing(address: str) -> None:
    ServiceManager({"NOTIFY_SOCKET": address}, ManualClock()).ready("answering")
