"""Dns: names of hosts are not resolved, or only after a long wait in vain.

Models a resolver that is down, or that does not answer. Addresses need no resolver, and connections that are open stay
so: a drill names its stores `localhost`, and cuts their connections as well. Programs that the process starts resolve as
ever, and so does a library that asks a resolver by itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from contextlib import suppress
from typing import Any

import uvloop

from chaos.inside.patch import replace
from chaos.inside.process import Process


class Dns:
    """Stands before socket.getaddrinfo, and before uvloop's own resolver wherever the loop is asked to use it."""

    def __init__(self, _: Process) -> None:
        self._hang: float | None = None
        replace(socket, "getaddrinfo", self._in_thread)
        replace(uvloop.Loop, "getaddrinfo", self._on_loop)
        replace(uvloop.Loop, "create_connection", self._connecting)

    def on(self, *, hang_s: float = 0.0) -> None:
        """Every name fails as "temporary failure in name resolution", after so many seconds."""
        self._hang = hang_s

    def off(self) -> None:
        """Names are resolved. Who has begun to wait fails nevertheless."""
        self._hang = None

    def _in_thread(self, original: Any) -> Any:
        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            if self._hang is not None and _is_name(host):
                time.sleep(self._hang)
                raise _failure()
            return original(host, *args, **kwargs)

        return getaddrinfo

    def _on_loop(self, original: Any) -> Any:
        async def getaddrinfo(loop: Any, host: Any, *args: Any, **kwargs: Any) -> Any:
            await self._fail_for(host)
            return await original(loop, host, *args, **kwargs)

        return getaddrinfo

    def _connecting(self, original: Any) -> Any:
        async def create_connection(
            loop: Any, made: Any, host: Any = None, port: Any = None, **kwargs: Any
        ) -> Any:
            await self._fail_for(host)
            return await original(loop, made, host, port, **kwargs)

        return create_connection

    async def _fail_for(self, host: Any) -> None:
        if self._hang is not None and _is_name(host):
            await asyncio.sleep(self._hang)
            raise _failure()


def _is_name(host: Any) -> bool:
    if not host:
        return False
    with suppress(ValueError):
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
        return False
    return True


def _failure() -> socket.gaierror:
    return socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
