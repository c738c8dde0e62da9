"""One direction of one connection: what comes in at one end goes out at the other, as its toxics have it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from chaos.proxy.end import End
from chaos.proxy.toxics.noop import Parcel, Toxic

QUEUE_LIMIT = 4_000_000  # bytes on their way; more are left with the kernel, which then slows the sender down


class Flow:
    """Parcels on their way, in order. Held from the start, until `change` lets go."""

    def __init__(self, source: End, sink: End, delivered: Callable[[int], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._source, self._sink = source, sink
        self._delivered = delivered
        self._toxics: Sequence[Toxic] = ()
        self._parcels: deque[Parcel] = deque()
        self._queued = 0
        self._timer: asyncio.TimerHandle | None = None
        self._held, self._full, self._paused = True, False, False
        self.gap = False  # something vanished
        self.ended = False  # the end of the stream was passed on
        sink.inflow = self

    def feed(self, data: bytes) -> None:
        """The source has said this; b"" is its end."""
        if self._toxics or self._parcels or self._held or self._full:
            self._take([Parcel(self._loop.time(), data)])
            self._pump()
        else:
            self._deliver(data)

    def change(self, toxics: Sequence[Toxic], *, held: bool) -> None:
        """Other toxics from now on, also for what is on its way. What is held stays where it is."""
        self._toxics, self._held = toxics, held
        now = self._loop.time()
        waiting = [parcel._replace(due=now) for parcel in self._parcels]
        self._parcels.clear()
        self._queued = 0
        self._take(waiting)
        self._pump()

    def fill(self, *, full: bool) -> None:
        """The sink has no room, or has room again."""
        self._full = full
        self._pump()

    def stop(self) -> None:
        """Nothing more is delivered."""
        self._held = True
        self._parcels.clear()
        if self._timer:
            self._timer.cancel()

    def _take(self, parcels: Iterable[Parcel]) -> None:
        came = list(parcels)
        treated: Iterable[Parcel] = came
        for toxic in self._toxics:
            treated = toxic.treat(treated)
        before = len(self._parcels)
        self._parcels.extend(treated)
        self.gap = self.gap or len(self._parcels) - before < len(came)
        self._queued += sum(len(self._parcels[at].data) for at in range(before, len(self._parcels)))

    def _pump(self) -> None:
        """Deliver what is due, and come back when the next is."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._parcels and not (self._held or self._full):
            if self._parcels[0].due > self._loop.time():
                self._timer = self._loop.call_at(self._parcels[0].due, self._pump)
                break
            parcel = self._parcels.popleft()
            self._queued -= len(parcel.data)
            self._deliver(parcel.data)
        self._balance()

    def _deliver(self, data: bytes) -> None:
        assert self._sink.transport is not None
        if data:
            self._sink.transport.write(data)
        else:
            self._sink.transport.write_eof()
            self.ended = True
        self._delivered(len(data))

    def _balance(self) -> None:
        """Read from the source only while there is room."""
        pause = self._held or self._queued > QUEUE_LIMIT
        source = self._source.transport
        if pause == self._paused or source is None or source.is_closing():
            return
        self._paused = pause
        if pause:
            source.pause_reading()
        else:
            source.resume_reading()
