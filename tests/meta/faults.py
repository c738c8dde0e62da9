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

from tests.meta.refusals import TIME, Refusal
from tests.meta.troubles import FAILURES, THROTTLES, failed, throttled
from tests.meta.wire import Answer, Drop


@dataclass(slots=True, kw_only=True)
class Struck:
    """What befalls one call.

    instead: what comes back in place of Meta's work. hangs: nothing ever does. afterwards: what comes of the answer once
    the events are taken. takes, says: whether they are, and how many it says they were (negative: so many fewer).
    """

    seconds: float = 0.0
    hangs: bool = False
    instead: Answer | Drop | None = None
    afterwards: str = ""
    takes: bool = True
    says: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


Effect = Callable[[Struck], None]


@dataclass(slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    effect: Effect
    pixel: str | None
    calls: int | None
    share: float


class Faults:
    """All that is wrong at the moment. `struck`: how often each kind struck."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._set: list[Fault] = []
        self.struck: Counter[str] = Counter()
        self.poisoned: dict[str, Refusal] = {}

    # ------------------------------------------------------------ what may be set

    def throttle(
        self,
        pixel: str | None = None,
        *,
        calls: int | None = None,
        share: float = 1.0,
        code: int | None = None,
        retry_after: int = 1,
    ) -> None:
        """Too many calls: by one code (429: by HTTP status, with Retry-After in seconds), or by any of THROTTLES."""

        def effect(struck: Struck) -> None:
            struck.instead = struck.instead or throttled(code or self._random.choice(THROTTLES), retry_after)

        self._add("throttle", effect, pixel, calls, share)

    def fail(
        self,
        pixel: str | None = None,
        *,
        calls: int | None = None,
        share: float = 1.0,
        how: str | None = None,
    ) -> None:
        """Trouble of Meta's own: one of FAILURES, or any of them."""

        def effect(struck: Struck) -> None:
            struck.instead = struck.instead or failed(how or self._random.choice(FAILURES))

        self._add("fail", effect, pixel, calls, share)

    def refuse(
        self,
        pixel: str | None = None,
        *,
        code: int,
        subcode: int | None = None,
        calls: int | None = None,
        share: float = 1.0,
    ) -> None:
        """Any error of Meta's, such as 200 or 10 (permissions), 368 (policy), or a code that nobody knows."""

        def effect(struck: Struck) -> None:
            struck.instead = (
                struck.instead or Refusal(code=code, subcode=subcode, message=f"(#{code})").answer()
            )

        self._add("refuse", effect, pixel, calls, share)

    def hang(self, pixel: str | None = None, *, calls: int | None = None, share: float = 1.0) -> None:
        """Nothing is done or answered, until the client hangs up."""

        def effect(struck: Struck) -> None:
            struck.hangs = True

        self._add("hang", effect, pixel, calls, share)

    def slow(
        self, seconds: float, pixel: str | None = None, *, calls: int | None = None, share: float = 1.0
    ) -> None:
        """The call is looked at that much later."""

        def effect(struck: Struck) -> None:
            struck.seconds += seconds

        self._add("slow", effect, pixel, calls, share)

    def reset(self, pixel: str | None = None, *, calls: int | None = None, share: float = 1.0) -> None:
        """The connection is reset before anything is done."""

        def effect(struck: Struck) -> None:
            struck.instead = struck.instead or Drop(reset=True)

        self._add("reset", effect, pixel, calls, share)

    def lose_answers(
        self,
        pixel: str | None = None,
        *,
        calls: int | None = None,
        share: float = 1.0,
        how: str = "closed",
    ) -> None:
        """The events are taken, and the sender is not told: `closed`, `reset`, or `cut` in the middle of the answer."""

        def effect(struck: Struck) -> None:
            struck.afterwards = how

        self._add("lose_answers", effect, pixel, calls, share)

    def short(
        self,
        pixel: str | None = None,
        *,
        calls: int | None = None,
        share: float = 1.0,
        takes: bool = True,
        says: int = -1,
    ) -> None:
        """events_received is `says` (negative: so many fewer than were sent); all are taken all the same, or none."""

        def effect(struck: Struck) -> None:
            struck.takes, struck.says = takes, says

        self._add("short", effect, pixel, calls, share)

    def warn_version(
        self, text: str, pixel: str | None = None, *, calls: int | None = None, share: float = 1.0
    ) -> None:
        """Answers carry X-Ad-Api-Version-Warning, which is how Meta says that a version will end."""

        def effect(struck: Struck) -> None:
            struck.headers["X-Ad-Api-Version-Warning"] = text

        self._add("warn_version", effect, pixel, calls, share)

    def poison(self, event_ids: Iterable[str], *, code: int = 100, subcode: int | None = TIME) -> None:
        """Whatever is in these events, Meta refuses them, and with each of them its batch."""
        refusal = Refusal(
            code=code,
            subcode=subcode,
            user_message="This event cannot be accepted.",
            message="Invalid parameter",
        )
        self.poisoned.update(dict.fromkeys(event_ids, refusal))

    def clear(self) -> None:
        """Nothing is wrong any more. Who hangs, hangs."""
        self._set.clear()
        self.poisoned.clear()

    # ------------------------------------------------------------ for the server

    @property
    def names(self) -> list[str]:
        """What is set at the moment, in order."""
        return [fault.name for fault in self._set]

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

    def _add(self, name: str, effect: Effect, pixel: str | None, calls: int | None, share: float) -> None:
        self._set.append(Fault(name=name, effect=effect, pixel=pixel, calls=calls, share=share))
