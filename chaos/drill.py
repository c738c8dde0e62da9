"""A drill as it runs: a stage, a crowd on it, who watches, and when something was broken and mended."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from chaos.checker.check import Erased
from chaos.checker.held import Held, read_held, waiting_entries
from chaos.checker.tokens import read
from chaos.crowd.process import ROOT, Crowd
from chaos.crowd.told import Told
from chaos.outside import Outside
from chaos.stage.late import press_start
from chaos.stage.spec import StageSpec
from chaos.stage.stage import Stage
from chaos.stage.trilha import TrilhaProcess
from chaos.watch import Watch

WARM_SECONDS = 3.0
SETTLE_SECONDS = 90.0
CALM_SETTLE_SECONDS = 10.0
UNDER_WAY_SECONDS = 1.0
ERASED_PEOPLE = 1
ERASE_TRIES, STILL_TO_DO = 5, 3
LAG_SECONDS = 5.0
EVENTS = ("ViewContent",)


@dataclass(slots=True, kw_only=True)
class Window:
    """A fault, from `began` to `ended` (monotonic seconds; None: it is still there)."""

    fault: str
    began: float
    ended: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of a drill's load: what the crowd was told, what the stores hold, who was erased.

    `until`: only what was told before that monotonic second can be expected in SQL; None: everything.
    """

    told: Told
    held: Held
    erased: Erased
    until: float | None


@dataclass(slots=True, kw_only=True)
class Log:
    """When a drill's faults were there, and what else happened; monotonic seconds. `zero` is when it was warm.

    `receipts_lost`: a daemon was killed, and took the count of its last receipts with it. `backed_up`: when the backup was
    made that the (only) fault brings back. `damaged`: clicks whose only copy the drill has damaged; they are set aside, and
    never in SQL.
    """

    zero: float = 0.0
    wall: float = 0.0
    ended: float | None = None
    receipts_lost: bool = False
    backed_up: float | None = None
    damaged: set[str] = field(default_factory=set)
    windows: list[Window] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)

    def undone(self, at: float) -> bool:
        """Whether a restored backup may lack what came at that moment: until the fault, and what waited when it was made."""
        if self.backed_up is None or not self.windows:
            return False
        return self.backed_up - LAG_SECONDS <= at < self.windows[0].began

    def to_wall(self, at: float) -> float:
        """Seconds since the epoch of a monotonic second."""
        return self.wall + at - self.zero


class Quiet:
    """Whether what is held has not changed for so many seconds; with 0 it never is quiet."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: tuple[object, ...] = ()
        self._at = 0.0

    def since(self, held: Held) -> bool:
        """Look once more."""
        seen, now = (len(held.clicks), len(held.outbox), held.books, held.waiting), time.monotonic()
        if seen != self._seen:
            self._seen, self._at = seen, now
        return bool(self._seconds) and held.waiting == 0 and now - self._at >= self._seconds


class Drill:
    """From `begin` to `close`. `say` hears what happens, in words."""

    def __init__(self, spec: StageSpec, say: Callable[[str], None]) -> None:
        self.stage = Stage(spec)
        self.outside = Outside(self.stage)
        self.log = Log()
        self._say = say
        self._erased, self._erased_tokens = Erased(), set[str]()
        self._told: Told | None = None

    def begin(self) -> None:
        """Set up, let the crowd come, erase one person, and wait until all is warm and calm."""
        self._say("setting up")
        self.stage.set_up()
        self.crowd = Crowd(self.stage.plan(), self.stage.folder)
        waiting = partial(waiting_entries, self.stage.spool_folder)
        self.watch = Watch([_metrics_of(daemon) for daemon in self.stage.daemons], waiting)
        self.watch.start()
        self.outside.begin()
        time.sleep(WARM_SECONDS)
        self.erase()
        self.log.zero, self.log.wall = time.monotonic(), time.time()
        self._say("calm")
        time.sleep(self.stage.spec.calm_s)

    def close(self) -> None:
        """Stop everything that still runs, and remove it."""
        if hasattr(self, "crowd"):
            self.crowd.kill()
            self.watch.stop()
            self.outside.end()
        self.stage.take_down()

    def breaking(self, what: str) -> None:
        """A fault is about to begin. Its moment is before the deed, so that no detection is counted too short."""
        self.log.windows.append(Window(fault=what, began=time.monotonic()))
        self._say(what)

    def mended(self, what: str) -> None:
        """The fault of that name is gone as of now."""
        for window in self.log.windows:
            if window.fault == what and window.ended is None:
                window.ended = time.monotonic()
        self.mark(f"{what}: over")

    def mark(self, text: str) -> None:
        """Something worth knowing happened."""
        self.log.marks.append((time.monotonic(), text))
        self._say(text)

    def finish(self) -> None:
        """Send the crowd home, and wait until all that it left is in SQL and nothing waits. A second time has no effect."""
        if self._told is not None:
            return
        told = self.crowd.stop()
        self.log.ended = time.monotonic()
        self.outside.end()
        late = [press_start(self.stage, token) for token in self._erased_tokens]
        self._told = Told(clicks=told.clicks, starts=[*told.starts, *late])
        self._say("settling")
        self._wait_until_held(self._clicks_of(self._told), SETTLE_SECONDS, idle=True)
        self.watch.stop()

    def told(self) -> Told:
        """What everybody was told so far."""
        return self._told or self.crowd.told()

    def evidence(self) -> Evidence:
        """Of the drill so far; under load, once what was told until now has had time to settle. OSError without SQL."""
        until = None
        if self._told is None:
            # Who came just now may be answered while we wait for what was told before.
            until = time.monotonic() - UNDER_WAY_SECONDS
            self._wait_until_held(self._clicks_of(self.told()), CALM_SETTLE_SECONDS)
        held = read_held(self.stage.direct_sql_url, self.stage.spool_folder)
        return Evidence(told=self.told(), held=held, erased=self._erased, until=until)

    def _clicks_of(self, told: Told) -> set[str]:
        given = {read(c.token).click for c in told.clicks if c.redirected and not self.log.undone(c.at)}
        return given - set(self._erased.clicks) - self.log.damaged

    def _wait_until_held(self, wanted: set[str], seconds: float, *, idle: bool = False) -> None:
        """Until these clicks are in SQL and, if `idle`, nothing waits. What does not come in time is for the checker to find."""
        deadline, quiet = time.monotonic() + seconds, Quiet(self.stage.spec.quiet_s)
        while time.monotonic() < deadline:
            with suppress(OSError):
                held = read_held(self.stage.direct_sql_url, self.stage.spool_folder)
                settled = self._is_settled(held, wanted, idle=idle) and (not idle or self.outside.settled())
                if settled or (idle and quiet.since(held)):
                    return
            time.sleep(0.25)

    def _is_settled(self, held: Held, wanted: set[str], *, idle: bool) -> bool:
        present = {click for click, row in held.clicks.items() if row.has_click}
        if not idle or not wanted <= present:
            return wanted <= present
        if self.log.backed_up is not None:
            return held.waiting == 0  # its books are as old as the backup
        books = held.books
        counted = self.log.receipts_lost or books.issued >= len(wanted | set(self._erased.clicks))
        return counted and held.waiting == 0 and books.spooled == books.settled + len(self.log.damaged)

    def erase(self) -> None:
        """Erase one of the people, as the operator would. Whoever presses START on their click later must not get it."""
        owners = [s for s in self.crowd.told().starts if s.owner and s.state == "settled"]
        chosen = [s for s in owners if s.token not in self._erased_tokens][:ERASED_PEOPLE]
        for start in chosen:
            self._erase(start.person)
        self._erased_tokens |= {start.token for start in chosen}
        clicks = {read(token).click for token in self._erased_tokens}
        self._erased = Erased(clicks=clicks, at=time.monotonic())

    def _erase(self, person: int) -> None:
        """By the operator's own command. It ends with 3 while something is still to do, and is run again then."""
        codes = (self._try_to_erase(person) for _ in range(ERASE_TRIES))
        code = next((code for code in codes if code != STILL_TO_DO), STILL_TO_DO)
        if code:
            raise RuntimeError(f"privacy erase ended with {code}")

    def _try_to_erase(self, person: int) -> int:
        command = [sys.executable, "-m", "cli.main", "privacy", "erase", "--telegram-id", "-"]
        environment, said = self.stage.environment(), str(person).encode()
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            input=said,
            stdout=subprocess.DEVNULL,
            check=False,
            timeout=180,
        ).returncode


def _metrics_of(daemon: TrilhaProcess) -> Callable[[], str]:
    def ask() -> str:
        return daemon.get("/metrics", seconds=1.0)[1].decode()

    return ask
