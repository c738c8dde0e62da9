"""Telling: every message to every channel, and again to those that did not take it. No channel holds up another."""

import asyncio
from collections import deque
from collections.abc import Sequence

from domain.alerts import Channel, Message
from domain.clock import Clock
from domain.observations import Observer
from runtime.logs import get_logger

TRY_FOR_MS = 3_600_000
MOST_WAITING = 100
_log = get_logger("trilha.alerts")


class Teller:
    """Raises nothing. What a channel has not taken waits here, in order, and is tried at each call for an hour.

    Data would be lost here: what waits goes with the process. The alert itself stays in SQL, and its reminder comes.
    """

    def __init__(self, channels: Sequence[Channel], clock: Clock, observer: Observer) -> None:
        self._clock = clock
        self._observer = observer
        self._waiting: dict[Channel, deque[Message]] = {
            channel: deque(maxlen=MOST_WAITING) for channel in channels
        }

    @property
    def waiting(self) -> int:
        """How many messages a channel has not taken yet."""
        return sum(map(len, self._waiting.values()))

    async def tell(self, messages: Sequence[Message]) -> None:
        """These, after those that wait."""
        for waiting in self._waiting.values():
            waiting.extend(messages)
        await asyncio.gather(*(self._through(channel) for channel in self._waiting))

    async def _through(self, channel: Channel) -> None:
        """Until there is nothing more, or the channel fails: then the others are not tried either, for now."""
        waiting = self._waiting[channel]
        while waiting:
            reason = await _told(channel, waiting[0])
            if reason is not None:
                self._failed(channel, waiting, reason)
                return
            waiting.popleft()
            self._observer.alert_told(channel.name, "sent")

    def _failed(self, channel: Channel, waiting: deque[Message], reason: str) -> None:
        self._observer.alert_told(channel.name, "failed")
        _log.warning("a channel did not take an alert", channel=channel.name, reason=reason)
        while waiting and waiting[0].at_ms <= self._clock.now_ms() - TRY_FOR_MS:
            given_up = waiting.popleft()
            self._observer.alert_told(channel.name, "given_up")
            _log.error("an alert is not told any more", channel=channel.name, rule=given_up.rule)


async def _told(channel: Channel, message: Message) -> str | None:
    try:
        return await channel.tell(message)
    except Exception as error:  # noqa: BLE001  a fault in one channel must not keep the others from being told
        return type(error).__name__
