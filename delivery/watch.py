"""Watch: tells the operator how the lanes are; by the log what needs somebody, by the observer everything."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from delivery.lane import LaneState
from delivery.schedule import lateness
from domain.clock import Clock
from domain.conversions import UNATTRIBUTED, LaneStatus
from domain.observations import Observer
from runtime.logs import get_logger

_log = get_logger("trilha.delivery")


class Watch:
    """Remembers what it has said of each lane, so that each crossing of a limit is said once."""

    def __init__(self, clock: Clock, observer: Observer) -> None:
        self._clock = clock
        self._observer = observer
        self._said: dict[str, int] = {}

    def seen(self, statuses: Sequence[LaneStatus], states: Mapping[str, LaneState]) -> None:
        """How all lanes are now. states: of those at work here."""
        now_ms = self._clock.now_ms()
        # What is not attributed yet is late by nobody's fault, and has an end of its own.
        destined = [status for status in statuses if status.lane != UNATTRIBUTED]
        for status in destined:
            self._say(status, _age(status, now_ms))
        self._observer.waiting(
            sum(status.pending for status in statuses),
            max((_age(status, now_ms) for status in destined), default=0.0),
        )
        self._observer.lanes(Counter(_states(destined, states)))

    def _say(self, status: LaneStatus, age: float) -> None:
        late, before = lateness(age), self._said.get(status.lane, 0)
        self._said[status.lane] = late
        if late > before:
            say = _log.error if late > 1 else _log.warning
            say("a lane is late", lane=status.lane, pending=status.pending, hours=round(age / 3600, 1))


def _age(status: LaneStatus, now_ms: int) -> float:
    """Seconds; 0 where nothing waits."""
    return 0.0 if status.oldest_at_ms is None else max(0.0, (now_ms - status.oldest_at_ms) / 1000)


def _states(statuses: Iterable[LaneStatus], states: Mapping[str, LaneState]) -> Iterable[LaneState]:
    return ("held" if status.held_at_ms is not None else states.get(status.lane, "ok") for status in statuses)
