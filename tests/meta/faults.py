"""What can be made to go wrong. Each method takes effect at once, beside what is already wrong.

Every fault is for one pixel or for all, and strikes the next `calls` calls, or a `share` of all calls (0 to 1, drawn from
a seeded source), or every call until `clear`. A fault uses up one of its calls whenever it strikes. Several strike
together: delays add up; of those that answer in place of Meta the first one set does.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypedDict, Unpack
from zlib import crc32

from tests.meta.refusals import TIME, Refusal
from tests.meta.troubles import FAILURES, THROTTLES, failed, throttled
from tests.meta.wire import Answer, Drop


class When(TypedDict, total=False):
    """Which calls a fault strikes. Without any of them: all."""

    pixel: str | None
    calls: int | None
    share: float


@dataclass(slots=True, kw_only=True)
class Struck:
    """What befalls one call.

    instead: what comes back in place of Meta's work, and `name` of which fault it is. hangs: nothing ever does.
    afterwards: what comes of the answer once the events are taken. takes, says: whether they are, and how many it says
    they were (negative: so many fewer).
    """

    seconds: float = 0.0
    hangs: bool = False
    instead: Answer | Drop | None = None
    name: str = ""
    afterwards: str = ""
    takes: bool = True
    says: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def answer(self, name: str, answer: Answer | Drop) -> None:
        """In place of Meta, unless something else does already."""
        if self.instead is None:
            self.instead, self.name = answer, name


Effect = Callable[[Struck], None]
_SPOILED = Refusal(code=100, subcode=TIME, user_message="This event cannot be accepted.")


@dataclass(slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    effect: Effect
    pixel: str | None = None
    calls: int | None = None
    share: float = 1.0


class Faults:
    """All that is wrong at the moment. `struck`: how often each kind of it struck."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._set: list[Fault] = []
        self.struck: Counter[str] = Counter()
        self.poisoned: dict[str, Refusal] = {}
        self._spoils = 0

    # ------------------------------------------------------------ what may be set

    def throttle(self, *, code: int | None = None, retry_after: int = 1, **when: Unpack[When]) -> None:
        """Too many calls: by one code (429: by HTTP status, with Retry-After in seconds), or by any of THROTTLES."""
        self._instead(
            "throttle", lambda: throttled(code or self._random.choice(THROTTLES), retry_after), when
        )

    def fail(self, *, how: str | None = None, **when: Unpack[When]) -> None:
        """Trouble of Meta's own or of the way: one of FAILURES, or any of them."""
        self._instead("fail", lambda: failed(how or self._random.choice(FAILURES)), when)

    def refuse(self, *, code: int, subcode: int | None = None, says: str = "", **when: Unpack[When]) -> None:
        """Any error of Meta's, such as 200 or 10 (permissions), 368 (policy), or a code that nobody knows."""
        refusal = Refusal(code=code, subcode=subcode, message=f"(#{code}) {says}".strip())
        self._instead("refuse", refusal.answer, when)

    def reset(self, **when: Unpack[When]) -> None:
        """The connection is reset before anything is done."""
        self._instead("reset", lambda: Drop(reset=True), when)

    def hang(self, **when: Unpack[When]) -> None:
        """Nothing is done or answered, however long the client waits."""

        def effect(struck: Struck) -> None:
            struck.hangs = True

        self._add("hang", effect, when)

    def slow(self, seconds: float, **when: Unpack[When]) -> None:
        """The call is dealt with that much later, whether or not its sender still waits."""

        def effect(struck: Struck) -> None:
            struck.seconds += seconds

        self._add("slow", effect, when)

    def lose_answers(self, *, how: str = "closed", **when: Unpack[When]) -> None:
        """The events are taken, and the sender is not told: `closed`, `reset`, or `cut` in the middle of the answer."""

        def effect(struck: Struck) -> None:
            struck.afterwards = how

        self._add("lose_answers", effect, when)

    def short(self, *, takes: bool = True, says: int = -1, **when: Unpack[When]) -> None:
        """events_received is `says` (negative: so many fewer than were sent); all are taken all the same, or none."""

        def effect(struck: Struck) -> None:
            struck.takes, struck.says = takes, says

        self._add("short", effect, when)

    def warn_version(self, text: str, **when: Unpack[When]) -> None:
        """Answers carry X-Ad-Api-Version-Warning, which is how Meta says that a version will end."""

        def effect(struck: Struck) -> None:
            struck.headers["X-Ad-Api-Version-Warning"] = text

        self._add("warn_version", effect, when)

    def poison(
        self,
        event_ids: Iterable[str],
        *,
        code: int = 100,
        subcode: int | None = TIME,
        says: str = "This event cannot be accepted.",
    ) -> None:
        """Whatever is in these events, Meta refuses them, and with each of them its batch, until `clear`."""
        refusal = Refusal(code=code, subcode=subcode, user_message=says)
        self.poisoned.update(dict.fromkeys(event_ids, refusal))

    def spoil(self, each: int) -> None:
        """As if one event in `each` (2 or more) were poisoned, whichever those are by their ids, until `clear`."""
        self._spoils = each

    def clear(self) -> None:
        """Nothing is wrong any more. Calls that hang or are slow stay so."""
        self._set.clear()
        self.poisoned.clear()
        self._spoils = 0

    # ------------------------------------------------------------ for the server

    @property
    def names(self) -> list[str]:
        """What is set at the moment, in order."""
        return [fault.name for fault in self._set]

    def poison_of(self, event_id: str | None) -> Refusal | None:
        """Why this event is refused, whatever is in it."""
        if event_id is not None and self._spoils and crc32(event_id.encode()) % self._spoils == 0:
            return _SPOILED
        return self.poisoned.get(event_id or "")

    def strike(self, pixel: str) -> Struck:
        """What befalls the call that has just come in."""
        struck = Struck()
        for fault in list(self._set):
            if self._strikes(fault, pixel):
                self.struck[fault.name] += 1
                fault.effect(struck)
        return struck

    def _strikes(self, fault: Fault, pixel: str) -> bool:
        if fault.pixel not in {None, pixel}:
            return False
        if fault.share < 1.0 and self._random.random() >= fault.share:
            return False
        if fault.calls is not None:
            fault.calls -= 1
            if fault.calls <= 0:
                self._set.remove(fault)
        return True

    def _instead(self, name: str, make: Callable[[], Answer | Drop], when: When) -> None:
        self._add(name, lambda struck: struck.answer(name, make()), when)

    def _add(self, name: str, effect: Effect, when: When) -> None:
        self._set.append(Fault(name=name, effect=effect, **when))
