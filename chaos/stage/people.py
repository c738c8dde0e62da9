"""People who press START at the Telegram of this machine: a share of the crowd's visitors, each with their own token, once."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from chaos.crowd.told import Tail
from chaos.stage.telegram import TelegramServer

EACH, WHICH = 10, 5
"""Visitors whose number ends in 5: those of the API's starts end in 0 (chaos/crowd/plan.py)."""
FIRST_PERSON = 6_000_000_000
LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """Somebody whose START Telegram has. `at`: monotonic seconds."""

    at: float
    person: int
    token: str


class People:
    """Press START as soon as they have their tokens, which the crowd's file `told` says, until `stop`."""

    def __init__(self, telegram: TelegramServer, told: Path) -> None:
        self._telegram = telegram
        self._tail = Tail(told)
        self._waiting: deque[tuple[int, str]] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="people")
        self.pressed: list[Pressed] = []

    def start(self) -> None:
        """Let them come."""
        self._thread.start()

    def stop(self) -> None:
        """Returns once everybody who has a token has pressed, if Telegram hears it; a second time has no effect."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            self._look()

    @property
    def waiting(self) -> int:
        """How many want to press START and are not heard by Telegram."""
        return len(self._waiting)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        clicks = [click for click in self._tail.clicks() if click.redirected and click.number % EACH == WHICH]
        self._waiting += [(FIRST_PERSON + click.number, click.token) for click in clicks]
        while self._waiting and self._press(*self._waiting[0]):
            self._waiting.popleft()

    def _press(self, person: int, token: str) -> bool:
        """False when Telegram does not hear it: a person presses again a moment later."""
        try:
            self._telegram.press(person, token)
        except OSError:
            return False
        self.pressed.append(Pressed(at=time.monotonic(), person=person, token=token))
        return True
