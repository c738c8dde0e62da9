"""How a daemon of this machine is, as it says itself at its private listener."""

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from runtime.settings import Bind

ASK_SECONDS = 1.0
LARGEST_ANSWER = 64 * 1024
LARGEST_PAGE = 4 * 1024 * 1024
_PROCESS = re.compile(r'\{process="\d+",?')
# Where a listener of all addresses is reached from its own machine.
_FROM_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_REQUEST = "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonState:
    """What `/readyz` says. tiers: the state of each breaker by its name; ring_waiting: clicks that no store has yet."""

    ready: bool
    tiers: Mapping[str, str]
    ring_waiting: int


async def ask(bind: Bind, *, seconds: float = ASK_SECONDS) -> DaemonState | None:
    """The state of the daemon that listens there; None when none answers as one of ours within that time. Raises nothing."""
    with suppress(OSError, TimeoutError, ValueError):
        return _state_in(await _answer(bind, "/readyz", seconds))
    return None


async def ready(bind: Bind, *, seconds: float = ASK_SECONDS) -> bool | None:
    """Whether the process of ours that listens there works, whatever it is; None when none answers. Raises nothing."""
    with suppress(OSError, TimeoutError, ValueError):
        found = _json_in(await _answer(bind, "/readyz", seconds)).get("ready")
        return found if isinstance(found, bool) else None
    return None


async def metrics(bind: Bind, *, seconds: float = ASK_SECONDS) -> Mapping[str, float] | None:
    """What `/metrics` says there, each value by its name with its labels; None when nobody answers. Raises nothing.

    Of several processes behind one listener it is the sum, whatever the metric is of.
    """
    with suppress(OSError, TimeoutError, ValueError):
        head, _, body = (await _answer(bind, "/metrics", seconds, LARGEST_PAGE)).partition(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 200"):
            return MappingProxyType(_sums(body.decode()))
    return None


async def _answer(bind: Bind, path: str, seconds: float, most: int = LARGEST_ANSWER) -> bytes:
    """Head and body, until the daemon closes."""
    async with asyncio.timeout(seconds):
        return await _exchange(_FROM_HERE.get(bind.host, bind.host), bind, path, most)


async def _exchange(host: str, bind: Bind, path: str, most: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, bind.port)
    try:
        writer.write(_REQUEST.format(host=bind, path=path).encode())
        await writer.drain()
        pieces = b""
        while len(pieces) < most and (piece := await reader.read(LARGEST_ANSWER)):
            pieces += piece
        return pieces
    finally:
        writer.close()


def _sums(page: str) -> dict[str, float]:
    """The samples of a page, those of several processes (daemon/peers.py) added up."""
    found: dict[str, float] = {}
    for line in page.splitlines():
        name, _, value = line.rpartition(" ")
        if name and not line.startswith("#"):
            name = _PROCESS.sub("{", name).replace("{}", "")
            found[name] = found.get(name, 0.0) + float(value)
    return found


def _state_in(answer: bytes) -> DaemonState:
    """The state in an answer; ValueError when it is no daemon's."""
    said = _json_in(answer)
    if not isinstance(said.get("tiers"), dict):
        raise ValueError("not a daemon's")  # noqa: TRY004  whatever it is, it is no answer of ours
    tiers = {str(name): str(state) for name, state in said["tiers"].items()}
    waiting = said.get("ring_waiting")
    return DaemonState(
        ready=said.get("ready") is True,
        tiers=MappingProxyType(tiers),
        ring_waiting=waiting if isinstance(waiting, int) else 0,
    )


def _json_in(answer: bytes) -> Mapping[str, Any]:
    """The object in an answer of `/readyz`; ValueError when it is none."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503")):
        raise ValueError("not an answer of /readyz")
    found: Any = json.loads(body)
    return found if isinstance(found, dict) else {}
