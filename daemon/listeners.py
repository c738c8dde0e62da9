"""Listening sockets: our own, or those that a service manager opened before us and keeps open after us.

The protocol is sd_listen_fds(3): LISTEN_FDS sockets from descriptor 3 on, for the process LISTEN_PID, with
LISTEN_FDNAMES between colons. While we are away connections wait in the socket's queue, and nobody is refused.
"""

import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from domain.errors import ConfigError
from runtime.logs import get_logger
from runtime.settings import Bind

FIRST_DESCRIPTOR = 3
MOST_SOCKETS = 64
BACKLOG = 2048
_log = get_logger("trilha.listeners")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where a server listens. `kept`: whoever handed the sockets over goes on listening when we have closed ours."""

    sockets: tuple[socket.socket, ...]
    kept: bool = False


class HandedOver:
    """The sockets that a service manager handed to this process, by name."""

    def __init__(self, sockets: Mapping[str, tuple[socket.socket, ...]] | None = None) -> None:
        self._sockets = dict(sockets or {})

    def __contains__(self, name: str) -> bool:
        return name in self._sockets

    def listener(self, name: str, bind: Bind, setting: str) -> Listener:
        """The handed sockets of that name; where there are none, a socket of our own at `bind`."""
        found = self._sockets.pop(name, None)
        if found is None:
            return Listener(sockets=(listen(bind, setting),))
        _log.info("listening on a socket of the service manager", name=name, at=_place(found[0]))
        return Listener(sockets=found, kept=True)


def take_over(variables: Mapping[str, str], known: Collection[str]) -> HandedOver:
    """Take what was handed to this process (`runtime.settings.service_variables`); `known`: names it has a use for.

    ConfigError: another name, something that is no listening TCP socket, a number that cannot be. Sockets that are meant
    for another process (LISTEN_PID) are left alone, with a warning.
    """
    if "LISTEN_FDS" not in variables:
        return HandedOver()
    if variables.get("LISTEN_PID") != str(os.getpid()):
        _log.warning("LISTEN_FDS is for another process (LISTEN_PID); its sockets are not used")
        return HandedOver()
    count = _count(variables["LISTEN_FDS"])
    names = variables["LISTEN_FDNAMES"].split(":") if "LISTEN_FDNAMES" in variables else ["unknown"] * count
    if len(names) != count:
        raise ConfigError(f"LISTEN_FDS hands over {count} sockets, and LISTEN_FDNAMES names {len(names)}")
    for name in names:
        if name not in known:
            wanted = " or ".join(f"FileDescriptorName={each}" for each in sorted(known))
            raise ConfigError(
                f"a socket named {name[:40]!r} was handed over, which this command has no use for. "
                f"In the .socket unit set {wanted}"
            )
    found: dict[str, tuple[socket.socket, ...]] = {}
    try:
        for descriptor, name in enumerate(names, FIRST_DESCRIPTOR):
            found[name] = (*found.get(name, ()), _listening(descriptor, name))
    except ConfigError:
        for each in (each for sockets in found.values() for each in sockets):
            each.close()
        raise
    return HandedOver(found)


def listen(bind: Bind, setting: str) -> socket.socket:
    """A listening socket, or ConfigError that names the setting to change."""
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((bind.host, bind.port))
        server.listen(BACKLOG)
    except OSError as error:
        server.close()
        msg = f"cannot listen on {bind}: {error.strerror}. Set another address with {setting}"
        raise ConfigError(msg) from None
    return server


def _count(given: str) -> int:
    if not given.isdigit() or not 1 <= int(given) <= MOST_SOCKETS:
        raise ConfigError(f"LISTEN_FDS is not a number from 1 to {MOST_SOCKETS}")
    return int(given)


def _listening(descriptor: int, name: str) -> socket.socket:
    """The socket of a descriptor, ours alone from now on: no child inherits it unasked."""
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003  the standard library's own signature
        found = socket.socket(fileno=descriptor)
        tcp = found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM
        listening = tcp and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    except OSError as error:
        raise ConfigError(
            f"the socket {name} that was handed over cannot be used: {error.strerror}"
        ) from None
    if not listening:
        found.detach()
        raise ConfigError(
            f"the socket {name} that was handed over does not listen for TCP connections. In the .socket unit "
            "use ListenStream=HOST:PORT and Accept=no"
        )
    found.setblocking(False)  # noqa: FBT003  the standard library's own signature
    return found


def _place(found: socket.socket) -> str:
    host, port = found.getsockname()[:2]
    return str(Bind(host=host, port=port))
