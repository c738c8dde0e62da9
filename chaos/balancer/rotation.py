"""Whose turn it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A daemon on this machine: the port of its redirects, and that of its `/readyz`."""

    public: int
    private: int

    def __str__(self) -> str:
        """As it is written on a command line."""
        return f"{self.public}:{self.private}"

    @classmethod
    def parse(cls, text: str) -> Upstream:
        """From PUBLIC:PRIVATE. ValueError."""
        public, _, private = text.partition(":")
        return cls(public=int(public), private=int(private))


class Rotation:
    """Daemons in turn, without those that are out. At the start none is."""

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        self.all = tuple(upstreams)
        self._out: set[Upstream] = set()
        self._next = 0

    def turn(self) -> list[Upstream]:
        """Where a visitor is sent, and where next if nobody answers there; those that are out come last, as a last resort."""
        at, self._next = self._next, (self._next + 1) % len(self.all)
        order = [*self.all[at:], *self.all[:at]]
        return sorted(order, key=lambda each: each in self._out)

    def put_out(self, upstream: Upstream) -> None:
        """It is dead or not ready."""
        self._out.add(upstream)

    def take_in(self, upstream: Upstream) -> None:
        """It has said that it is ready."""
        self._out.discard(upstream)

    @property
    def out(self) -> frozenset[Upstream]:
        """Those that nobody is sent to."""
        return frozenset(self._out)
