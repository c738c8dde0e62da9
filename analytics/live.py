"""Now: how everything is at this moment, and the newest clicks. Each question is answered off an index."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from analytics.daemons import DaemonState, ask, metrics, ready
from analytics.statements import statement
from backends.sql.reading import Question
from domain.accounts import BotStatus
from domain.books import MINUTE_MS
from domain.clock import Clock
from domain.conversions import LaneStatus
from domain.errors import StoreUnavailable, TrilhaError
from domain.ids import uuid7_ms
from runtime.settings import Bind

NEWEST = 20
RECEIPT_MINUTES = 60
FRESH_SECONDS = 1.0
Role = Literal["serve", "bot", "work"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of this machine. `up`: it answers; `ready`: it works. Both are None where nobody can ask it (no listener)."""

    role: Role
    bind: str | None
    up: bool | None = None
    ready: bool | None = None
    tiers: Mapping[str, str]
    ring_waiting: int = 0
    redirects: int | None = None
    openings: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits in the spools of this machine, in entries and bytes, of the bytes there is room for."""

    entries: int
    volume: int
    quota: int

    @property
    def share(self) -> float:
        """Of the quota."""
        return self.volume / self.quota


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipts:
    """What was promised for the clicks of the last RECEIPT_MINUTES."""

    issued: int
    synced: int
    written: int
    token_only: int
    visible: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClick:
    """A click as everybody may see it. `spooled`: it came through a spool; else SQL took it at the redirect.

    clicked False: nothing is known of it but its start. erased: somebody asked for it.
    """

    at_ms: int
    slug: str | None
    ad: str
    traffic_class: str | None
    spooled: bool
    clicked: bool
    started: bool
    erased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """Everything at one moment. What could not be read is None."""

    at_ms: int
    processes: tuple[Process, ...]
    backlog: Backlog | None
    receipts: Receipts | None
    lanes: tuple[LaneStatus, ...]
    bots: tuple[BotStatus, ...]
    clicks: tuple[NewClick, ...]

    def misses(self, process: Process) -> bool:
        """True when it does not answer and should: a bot worker only where there is a bot for it to be."""
        wanted = process.role != "bot" or any(status.has_token for status in self.bots)
        return process.up is False and wanted

    @property
    def troubles(self) -> int:
        """How many things somebody has to look at."""
        daemons = sum(self.misses(process) or _unwell(process) for process in self.processes)
        lanes = sum(lane.held_at_ms is not None or lane.warning is not None for lane in self.lanes)
        bots = sum(not status.bot.fit for status in self.bots)
        spools = self.backlog is None or self.backlog.share >= 0.7
        return daemons + lanes + bots + spools + (self.receipts is None)


class Reader(Protocol):
    """Answers questions (backends/sql/reading.py)."""

    async def ask(self, *questions: Question) -> list[Sequence[Any]]: ...


class Lanes(Protocol):
    """Says how lanes are (backends/sql/outbox.py)."""

    async def lanes(self) -> list[LaneStatus]: ...


class Bots(Protocol):
    """Says how bots are (backends/sql/bot_accounts.py)."""

    async def overview(self) -> list[BotStatus]: ...


class Watch:
    """Looks at everything, at most once in FRESH_SECONDS however many people watch."""

    def __init__(
        self,
        *,
        reader: Reader,
        lanes: Lanes,
        bots: Bots,
        spools: Callable[[], tuple[int, int]],
        quota: int,
        binds: Mapping[Role, Bind | None],
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._lanes = lanes
        self._bots = bots
        self._spools = spools
        self._quota = quota
        self._binds = binds
        self._clock = clock
        self._turn = asyncio.Lock()
        self._seen: tuple[float, Now] | None = None

    async def now(self) -> Now:
        """As it is, or was a moment ago. Raises nothing: what cannot be asked is shown as such."""
        async with self._turn:
            moment = self._clock.monotonic()
            if self._seen is None or moment - self._seen[0] >= FRESH_SECONDS:
                self._seen = moment, await self._look()
            return self._seen[1]

    async def _look(self) -> Now:
        processes = asyncio.gather(*(_process(role, bind) for role, bind in self._binds.items()))
        backlog = asyncio.to_thread(self._backlog)
        found, waiting, sql = await asyncio.gather(processes, backlog, self._sql())
        receipts, clicks, lanes, bots = sql
        return Now(
            at_ms=self._clock.now_ms(),
            processes=tuple(found),
            backlog=waiting,
            receipts=receipts,
            lanes=lanes,
            bots=bots,
            clicks=clicks,
        )

    def _backlog(self) -> Backlog | None:
        try:
            entries, volume = self._spools()
        except (TrilhaError, OSError):
            return None
        return Backlog(entries=entries, volume=volume, quota=self._quota)

    async def _sql(
        self,
    ) -> tuple[Receipts | None, tuple[NewClick, ...], tuple[LaneStatus, ...], tuple[BotStatus, ...]]:
        since = self._clock.now_ms() // MINUTE_MS - RECEIPT_MINUTES
        try:
            receipts, clicks = await self._reader.ask(
                Question(statement("receipts"), {"since": since}),
                Question(statement("newest_clicks"), {"most": NEWEST}),
            )
            lanes, bots = await self._lanes.lanes(), await self._bots.overview()
        except StoreUnavailable:
            return None, (), (), ()
        row = receipts[0]
        promised = Receipts(
            issued=row.issued,
            synced=row.synced,
            written=row.written,
            token_only=row.token_only,
            visible=row.visible,
        )
        return promised, tuple(map(_click, clicks)), tuple(lanes), tuple(bots)


async def _process(role: Role, bind: Bind | None) -> Process:
    if bind is None:
        return Process(role=role, bind=None, tiers={}, openings={})
    state, works, figures = await asyncio.gather(_state(role, bind), ready(bind), metrics(bind))
    return Process(
        role=role,
        bind=str(bind),
        up=works is not None,
        ready=bool(works),
        tiers=state.tiers if state else {},
        ring_waiting=state.ring_waiting if state else 0,
        redirects=_redirects(figures) if role == "serve" else None,
        openings=_by_label("trilha_breaker_opened_total", figures),
    )


async def _state(role: Role, bind: Bind) -> DaemonState | None:
    return None if role == "work" else await ask(bind)


def _redirects(figures: Mapping[str, float] | None) -> int | None:
    return None if figures is None else sum(_by_label("trilha_redirects_total", figures).values())


def _by_label(name: str, figures: Mapping[str, float] | None) -> dict[str, int]:
    """The values of a metric with one label, by it."""
    beginning = f"{name}{{"
    return {
        key.partition('"')[2].rstrip('"}'): int(value)
        for key, value in (figures or {}).items()
        if key.startswith(beginning)
    }


def _unwell(process: Process) -> bool:
    works = process.up and process.ready
    return bool(process.up) and (not works or any(state != "closed" for state in process.tiers.values()))


def _click(row: Any) -> NewClick:
    return NewClick(
        at_ms=uuid7_ms(UUID(str(row.id))),
        slug=row.slug,
        ad=" · ".join(filter(None, (row.source, row.campaign, row.content))),
        traffic_class=row.traffic_class,
        spooled=bool(row.spooled),
        clicked=bool(row.clicked),
        started=bool(row.started),
        erased=bool(row.erased),
    )
