"""Bisection: which of a batch's events are at fault, when a call is refused as a whole. Pure: it is told, and says what to
send next.

What is accepted on the way is delivered already. Of two halves of a refused part, the second is not sent as a whole once
the first was accepted: the fault must be in it, so that it is halved at once. No event is blamed that was not sent alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

E = TypeVar("E")


@dataclass(slots=True)
class _Part(Generic[E]):
    events: Sequence[E]
    twin: "_Part[E] | None" = field(default=None, repr=False)  # the other half, while this one is the first
    suspect: bool = False

    def halves(self) -> "tuple[_Part[E], _Part[E]]":
        middle = len(self.events) // 2
        second = _Part(self.events[middle:])
        return _Part(self.events[:middle], twin=second), second


class Bisection(Generic[E]):
    """One batch on its way. `part` is what to send; then `accepted`, `split` or (one event alone) `over` says how it went."""

    def __init__(self, events: Sequence[E]) -> None:
        self._parts = [_Part(events)] if events else []
        self.was_split = False

    @property
    def part(self) -> Sequence[E]:
        """What is to be sent next; empty when all is said."""
        while self._parts and self._parts[-1].suspect and len(self._parts[-1].events) > 1:
            self._halve()
        return self._parts[-1].events if self._parts else ()

    @property
    def left(self) -> list[E]:
        """All that nothing is known of yet, the present part included."""
        return [event for part in reversed(self._parts) for event in part.events]

    def accepted(self) -> None:
        """The part was taken."""
        twin = self._parts.pop().twin
        if twin is not None:
            twin.suspect = True

    def split(self) -> None:
        """The part was refused, and has more than one event."""
        self.was_split = True
        self._halve()

    def over(self) -> None:
        """The part, one event, is dealt with."""
        self._parts.pop()

    def _halve(self) -> None:
        first, second = self._parts.pop().halves()
        self._parts += [second, first]
