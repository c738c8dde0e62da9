"""What the machine asks of a design under test, and the world that all designs share: real servers, one loop."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import redis
import uvloop

from chaos.servers import ValkeyServer

T = TypeVar("T")
Mode = Literal["ok", "down", "deaf"]
"""down: refuses everything. deaf: does what it was asked, and its reply is lost."""


class InvariantBroken(AssertionError):
    """An invariant of the design does not hold; the text begins with its name."""


def holds(condition: bool, invariant: str, what: object) -> None:
    """Raise InvariantBroken unless the condition holds."""
    if not condition:
        raise InvariantBroken(f"{invariant}: {what}")


@dataclass
class Ticket:
    """One click as the machine knows it: the visitor's token, and whether the design acknowledged the click."""

    number: int
    token: str
    acknowledged: bool = False
    put: bool = False


class Design(Protocol):
    """A way to keep clicks and to give each one owner.

    `start` answers True (told that the click is theirs), False (told that it is not), None (nobody knows yet).
    """

    def mint(self, number: int) -> Ticket: ...
    async def put(self, ticket: Ticket) -> None: ...
    async def start(self, ticket: Ticket, person: int) -> bool | None: ...
    async def settle(self, *, again: bool) -> None: ...
    async def crash(self, *, power: bool) -> None: ...
    async def erase(self, ticket: Ticket) -> bool: ...
    async def erase_person(self, person: int) -> None: ...
    async def check(self) -> None: ...
    async def owners(self) -> dict[str, int]: ...
    async def close(self) -> None: ...

    def fault(self, store: str, mode: Mode) -> None: ...
    def heal(self) -> None: ...
    def jump(self, seconds: float) -> None: ...
    def quota(self, *, reached: bool) -> None: ...


class World:
    """Real servers and one event loop for as many examples as there are."""

    def __init__(self, valkey: ValkeyServer) -> None:
        self.valkey = valkey
        self.folder = Path(tempfile.mkdtemp(prefix="trilha-machine-", dir=_memory()))
        self.loop = uvloop.new_event_loop()
        self.redis = redis.Redis(port=valkey.port, retry=None)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self.loop.run_until_complete(work)

    def snapshot(self) -> dict[bytes, bytes]:
        """What Redis holds, as an RDB file would keep it."""
        keys = self.redis.keys("*")
        return {key: value for key in keys if (value := self.redis.get(key)) is not None}

    def restore(self, snapshot: dict[bytes, bytes]) -> None:
        """Redis comes back with an older state."""
        self.redis.flushall()
        if snapshot:
            self.redis.mset(snapshot)

    def wipe(self) -> None:
        """Redis comes back empty."""
        self.redis.flushall()

    def close(self) -> None:
        """Let go of everything."""
        self.redis.close()
        self.loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _memory() -> str | None:
    """Files in memory: what is to be proven is order and loss, not the speed of a disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
