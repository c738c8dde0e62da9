"""What we tell the service manager: sd_notify(3), a datagram to NOTIFY_SOCKET. Without one nothing is told."""

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from domain.clock import Clock
from runtime.logs import get_logger

_log = get_logger("trilha.service")


class ServiceManager:
    """Who started us, if it wants to hear how we are. Telling it never fails and never waits."""

    def __init__(self, variables: Mapping[str, str], clock: Clock) -> None:
        """`variables`: what it said in the environment (`runtime.settings.service_variables`)."""
        self._address = _address(variables.get("NOTIFY_SOCKET"))
        self._clock = clock
        self._watchdog = _watchdog(variables)

    def ready(self, status: str) -> None:
        """We answer; also after `reloading`, when that is done. `status`: a short line for people."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload has begun. systemd takes it for the answer to its SIGHUP by the time in it (Type=notify-reload)."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={int(self._clock.monotonic() * 1_000_000)}")

    def stopping(self) -> None:
        """The end is under way."""
        self._tell("STOPPING=1", "STATUS=finishing what is in flight")

    def status(self, text: str) -> None:
        """A short line for people."""
        self._tell(f"STATUS={text}")

    async def keep_alive(self) -> None:
        """Say at half of the watchdog's time that the event loop turns, until cancelled. Ends at once without a watchdog."""
        while self._watchdog is not None and self._address is not None:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._watchdog / 2)

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines).encode()
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.setblocking(False)  # noqa: FBT003  the standard library's own signature
            way.sendto(message, self._address)


def _address(given: str | None) -> str | None:
    """Where to send: a path, or a name in the abstract namespace, which is written with `@`."""
    if not given:
        return None
    if given.startswith("@") and len(given) > 1:
        return "\0" + given[1:]
    if given.startswith("/"):
        return given
    _log.warning("NOTIFY_SOCKET is neither a path nor an abstract name; the service manager is told nothing")
    return None


def _watchdog(variables: Mapping[str, str]) -> float | None:
    """Seconds of silence after which we are ended; None when nobody watches, or somebody else is watched."""
    micros, pid = variables.get("WATCHDOG_USEC", ""), variables.get("WATCHDOG_PID")
    if not micros.isdigit() or int(micros) == 0 or (pid is not None and pid != str(os.getpid())):
        return None
    return int(micros) / 1_000_000
