"""The watch: one pass measures, judges, and tells. `trilha work` makes one every half minute."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from analytics.alerts.judge import judge
from analytics.alerts.local import LocalMeasures
from analytics.alerts.measures import SqlMeasures
from analytics.alerts.readings import Reading, Readings, is_of_node, node_in
from analytics.alerts.rules import Rule
from analytics.alerts.states import Remembered
from analytics.alerts.telling import Teller
from analytics.alerts.texts import Texts
from backends.sql.alerts import SqlAlerts
from domain.alerts import AlertKey, JudgeStatus, Message
from domain.clock import Clock
from domain.errors import StoreUnavailable, TrilhaError
from domain.observations import Observer
from runtime.logs import get_logger

SELDOM_SECONDS = 300.0
SOURCE_SECONDS = 20.0
MOST_AT_ONCE = 5
GONE_MS = 7 * 86_400_000
"""A node whose worker has judged nothing for so long is no node any more."""
_log = get_logger("trilha.alerts")


def always() -> bool:
    """For a worker that is the only one."""
    return True


@dataclass(slots=True)
class _Source:
    """A call that measures. every: seconds between two of them."""

    read: Callable[[int], Awaitable[Readings]]
    every: float = 0.0
    last: float | None = None

    def due(self, now: float) -> bool:
        return self.last is None or now - self.last >= self.every


class Watch:
    """Judges every rule in force. Raises nothing of ours: what cannot be measured now is left as it is known.

    `leads`: whether it measures what is in SQL too; another worker does if not, and then it judges its own machine alone.
    """

    def __init__(
        self,
        *,
        rules: Sequence[Rule],
        node: int,
        sql: SqlMeasures,
        local: LocalMeasures,
        alerts: SqlAlerts,
        teller: Teller,
        texts: Texts,
        clock: Clock,
        observer: Observer,
        leads: Callable[[], bool] = always,
    ) -> None:
        self._leads = leads
        self._rules = rules
        self._node = node
        self._local = local
        self._alerts = alerts
        self._states = Remembered(alerts)
        self._teller = teller
        self._texts = texts
        self._clock = clock
        self._observer = observer
        self._worst: dict[str, float] = {}
        # What is forgotten first is not measured any more.
        self._sources = [
            _Source(self._forget, SELDOM_SECONDS),
            *(_Source(read) for read in (sql.lanes, sql.bots, sql.token_only, sql.rollups, sql.workers)),
            *(_Source(read, SELDOM_SECONDS) for read in (sql.books, sql.match_rate, sql.retention)),
        ]

    async def pass_(self) -> list[Message]:
        """One pass; what was told."""
        now_ms = self._clock.now_ms()
        readings = await self.measured(now_ms)
        await self._states.load()
        messages = [message for rule in self._rules for message in await self._judged(rule, readings, now_ms)]
        self._show(readings)
        told = messages if len(messages) <= MOST_AT_ONCE else [self._texts.together(messages)]
        await self._teller.tell(told)
        return told

    async def measured(self, now_ms: int) -> Readings:
        """Everything that can be measured now."""
        found = dict(await self._of(self._local.spools, now_ms))
        sql_answers = await self._beat(now_ms)
        found |= await self._of(self._local.disks, now_ms)
        found |= await self._of(lambda at: self._local.daemon(at, sql_answers=sql_answers), now_ms)
        for source in self._sources:
            # One that finds SQL down has waited for it: the others need not.
            if sql_answers and self._leads() and source.due(now := self._clock.monotonic()):
                source.last = now
                found |= await self._of(source.read, now_ms)
        return found

    async def _beat(self, now_ms: int) -> bool:
        """Say that this worker judges; False when SQL does not take it."""
        waits = self._local.waits_since_ms
        status = JudgeStatus(node=self._node, judged_ms=now_ms, waits_since_ms=waits)
        try:
            await self._alerts.beat(status)
        except StoreUnavailable:
            return False
        return True

    async def _of(self, read: Callable[[int], Awaitable[Readings]], now_ms: int) -> Readings:
        try:
            async with asyncio.timeout(SOURCE_SECONDS):
                return await read(now_ms)
        except (TrilhaError, TimeoutError, OSError) as error:
            _log.warning("alerts could not measure", error=str(error) or type(error).__name__)
            return {}

    async def _forget(self, now_ms: int) -> Readings:
        """Delete nodes that are no more, and their alerts. Retention deletes what is over since long."""
        await self._alerts.forget_judges(now_ms - GONE_MS)
        nodes = {judge.node for judge in await self._alerts.judges()}
        for key, state in (await self._alerts.load()).items():
            if (node := node_in(key.subject)) is not None and node not in nodes:
                await self._alerts.change(key, state, None)
        return {}

    async def _judged(self, rule: Rule, readings: Readings, now_ms: int) -> list[Message]:
        reading = readings.get(rule.measure)
        if reading is None:
            return []
        found = [
            await self._judged_one(
                rule, AlertKey(rule.name, subject), reading.values.get(subject, 0.0), now_ms
            )
            for subject in sorted(self._subjects(rule, reading))
        ]
        return [message for message in found if message is not None]

    def _subjects(self, rule: Rule, reading: Reading) -> set[str]:
        """What was measured, and what is known and was not: that is well, if everything was measured."""
        if not reading.whole:
            return {*reading.values}
        known = {key.subject for key in self._states.known if key.rule == rule.name}
        ours = {subject for subject in known if not rule.local or is_of_node(subject, self._node)}
        return ours | reading.values.keys()

    async def _judged_one(self, rule: Rule, key: AlertKey, measured: float, now_ms: int) -> Message | None:
        before = self._states.known.get(key)
        verdict = judge(rule, measured, before, now_ms)
        if verdict.state == before or not await self._states.change(key, verdict.state):
            return None
        if verdict.notice is None or verdict.state is None:
            return None
        message = self._texts.message(rule, key.subject, verdict.state, verdict.notice, now_ms)
        say = _log.info if message.kind == "resolved" else _log.warning
        say("an alert", rule=rule.name, subject=key.subject, state=message.kind, severity=rule.severity)
        return message

    def _show(self, readings: Readings) -> None:
        if not self._leads():
            self._worst.clear()  # of SQL, which the leader measures: its figures would stand here for ever
        for rule in self._rules:
            if (reading := readings.get(rule.measure)) is not None:
                self._worst[rule.name] = max(reading.values.values(), default=0.0)
            states = (state for key, state in self._states.known.items() if key.rule == rule.name)
            firing = sum(state.phase == "firing" for state in states)
            self._observer.alert(rule.name, firing, self._worst.get(rule.name, 0.0))
