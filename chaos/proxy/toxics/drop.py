"""A way that leads nowhere."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.proxy.toxics.noop import Parcel


class Drop:
    """Everything vanishes, the end of the stream too.

    A stream that lost bytes cannot go on: no network delivers one with a gap, and a store might take what comes
    after it for something that nobody said. So the proxy resets such a connection as soon as its trouble changes.
    """

    def treat(self, parcels: Iterable[Parcel]) -> Iterable[Parcel]:  # noqa: ARG002
        return ()
