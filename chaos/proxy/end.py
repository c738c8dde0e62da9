"""One of the two sockets of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from chaos.proxy.pump import Flow


class End(asyncio.Protocol):
    """Tells who listens what it hears, the end of the stream being b""; and the flow into it when it is full."""

    def __init__(
        self, hears: Callable[[bytes], None], lost: Callable[[], None], made: Callable[[], None]
    ) -> None:
        self._hears = hears
        self._lost = lost
        self._made = made
        self.inflow: Flow | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._made()

    def data_received(self, data: bytes) -> None:
        self._hears(data)

    def eof_received(self) -> bool:
        self._hears(b"")
        return True  # the other direction goes on

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._lost()

    def pause_writing(self) -> None:
        assert self.inflow is not None
        self.inflow.fill(full=True)

    def resume_writing(self) -> None:
        assert self.inflow is not None
        self.inflow.fill(full=False)
