"""The rows of a slice of a history: clicks, starts, conversions, and the books that say what was promised for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from loadtests.history import events, visits
from loadtests.history.catalog import Ad, Catalog
from loadtests.history.events import Events
from loadtests.history.ids import uuid7
from loadtests.history.plan import DAY_MS, MINUTE_MS, History, Slice
from loadtests.history.stamp import stamp
from loadtests.history.visits import Visit, quick

CLICKS = (
    "id", "link_id", "node", "ad_key", "clicked_at", "spooled", "params", *visits.COLUMNS,
    "visitor_key", "visitor_period", "fbclid_key", "owner_bot_id", "owner_telegram_id", "started_at", "erased_at", "scored_at",
)  # fmt: skip
STARTS = ("id", "bot_id", "telegram_id", "started_at", "kind", "click_id", "reply", "replied_at")
BOOKS = ("node", "boot", "minute", "issued", "synced", "written", "token_only", "visible", "spooled")
NODES = 2
LATE, LATEST_MS = 0.022, 6 * DAY_MS
DIRECT, TAKEN, ERASED = 0.06, 0.012, 0.003
"""Starts without a click, of a click that somebody else has, and clicks whose visitor was erased: shares of the starts."""
TOKEN_ONLY, BY_SQL, WRITTEN, HIDDEN = 0.002, 0.002, 0.004, 0.003
"""Clicks that no store took, that SQL took itself, that were not yet synced, that Redis did not have: shares of the clicks."""
_NO_VISIT: tuple[None, ...] = (None,) * len(visits.COLUMNS)
PEOPLE = 12
"""So many people to choose from for each start: about one in twenty comes again."""


@dataclass(slots=True)
class Batch:
    """Rows by table, as many as were made since the last commit."""

    clicks: list[tuple[Any, ...]] = field(default_factory=list)
    starts: list[tuple[Any, ...]] = field(default_factory=list)
    outbox: list[tuple[Any, ...]] = field(default_factory=list)
    accounting: list[tuple[Any, ...]] = field(default_factory=list)

    def tables(self) -> Iterator[tuple[str, tuple[str, ...], list[tuple[Any, ...]]]]:
        """Table, columns, rows."""
        yield "clicks", CLICKS, self.clicks
        yield "starts", STARTS, self.starts
        yield "outbox", events.COLUMNS, self.outbox
        yield "accounting", BOOKS, self.accounting


class Maker:
    """Makes a history's rows. Every slice has a randomness of its own: it does not matter which were made before."""

    def __init__(self, history: History, catalog: Catalog, pool: list[Visit]) -> None:
        self._history = history
        self._catalog = catalog
        self._pool = pool
        self._people = max(1000, history.clicks // 4 * PEOPLE)

    def add(self, part: Slice, batch: Batch) -> None:
        """The rows of one slice."""
        _SliceMaker(self, part, batch).make()

    @property
    def history(self) -> History:
        """What is made."""
        return self._history

    @property
    def pool(self) -> list[Visit]:
        """Kinds of visits."""
        return self._pool

    def ads(self, day: int) -> tuple[list[Ad], list[float]]:
        """Those that run that day."""
        return self._catalog.of_day(day)

    def person(self, rng: Random) -> int:
        """A Telegram id, that may have come before."""
        return 5_000_000_000 + rng.randrange(self._people)


class _SliceMaker:
    def __init__(self, maker: Maker, part: Slice, batch: Batch) -> None:
        self._maker = maker
        self._part = part
        self._batch = batch
        self._rng = Random(f"{maker.history.seed}/{part.number}")
        self._events = Events(maker.history, self._rng)
        self._until = maker.history.until_ms
        self._books: dict[int, list[list[int]]] = {}

    def make(self) -> None:
        rng, part, clicks = self._rng, self._part, self._batch.clicks
        ads, weights = self._maker.ads(part.day)
        count = part.clicks
        pool = self._maker.pool
        span = part.end - part.begin
        keys = rng.randbytes(32 * count)
        at = 0
        moments = sorted(part.begin + int(rng.random() * span) for _ in range(count))
        visited = rng.choices(pool, k=count)
        for moment, ad, visit in zip(moments, rng.choices(ads, weights, k=count), visited, strict=True):
            click = uuid7(moment, rng.getrandbits(74))
            node = 1 + (rng.random() < 0.5)
            owner = self._start(moment, click, ad, visit) if rng.random() < visit.starts else None
            spooled = rng.random() >= BY_SQL
            self._enter(moment, node, spooled=spooled)
            head = (click, ad.link.id, node, ad.key, stamp(moment), int(spooled))
            if owner is None:
                values, tail = (
                    visit.values,
                    (None, None, None, None, stamp(moment) if visit.tentative else None),
                )
            elif owner[3] is not None:  # erased: the row stays for the books, and says nothing
                clicks.append((*head, None, *_NO_VISIT, None, None, None, *owner[:3], owner[3], None))
                at += 32
                continue
            else:
                values, tail = owner[4], (*owner[:3], None, owner[2])
            fbclid = keys[at + 16 : at + 32] if rng.random() < visit.fbclid else None
            clicks.append((*head, ad.params, *values, keys[at : at + 16], moment // DAY_MS, fbclid, *tail))
            at += 32
        self._lost(ads, weights)
        self._direct()
        self._close()

    def _start(self, moment: int, click: str, ad: Ad, visit: Visit) -> tuple[Any, ...] | None:
        """Owner's bot and person, when, when they were erased, and what the visit is then; None if it is still to come."""
        rng = self._rng
        wait = (
            rng.randint(3_600_000, LATEST_MS)
            if rng.random() < LATE
            else int(rng.lognormvariate(2.2, 1.1) * 1000)
        )
        started = moment + wait
        if started >= self._until:
            return None
        bot, person = rng.choice(ad.link.bots), self._maker.person(rng)
        erased = rng.random() < ERASED and started + DAY_MS < self._until
        self._batch.outbox += self._events.of_start(ad, click, bot, started, erased=erased)
        if erased:
            return (None, None, None, stamp(started + DAY_MS))
        self._note(bot, person, started, "attributed", click)
        if rng.random() < TAKEN:
            self._taken(bot, click, started)
        values = visit.started if wait >= 2000 else quick(visit.started, wait)
        return (bot, person, stamp(started), None, values)

    def _taken(self, bot: int, click: str, started: int) -> None:
        later = started + int(self._rng.expovariate(1 / 3_600_000))
        if later < self._until:
            self._note(bot, self._maker.person(self._rng), later, "taken", click)

    def _note(self, bot: int, person: int, at: int, kind: str, click: str | None) -> None:
        made = f"{self._rng.getrandbits(128):032x}"
        answered = stamp(min(at + 400, self._until))
        self._batch.starts.append((made, bot, person, stamp(at), kind, click, "sent", answered))

    def _lost(self, ads: list[Ad], weights: list[float]) -> None:
        """Clicks that no store took. Whoever started has a token that says which ad it was."""
        rng, part = self._rng, self._part
        for _ in range(_about(rng, part.clicks * TOKEN_ONLY)):
            moment = part.begin + int(rng.random() * (part.end - part.begin))
            node = rng.randint(1, NODES)
            figures = self._figures(moment, node)
            figures[0] += 1
            figures[3] += 1
            started = moment + int(rng.lognormvariate(2.2, 1.1) * 1000)
            if rng.random() < 0.25 and started < self._until:
                self._alone(rng.choices(ads, weights)[0], moment, node, started)

    def _alone(self, ad: Ad, moment: int, node: int, started: int) -> None:
        click = uuid7(moment, self._rng.getrandbits(74))
        bot, person = self._rng.choice(ad.link.bots), self._maker.person(self._rng)
        head = (click, ad.link.id, node, ad.key, None, 0, None)
        tail = (None, None, None, bot, person, stamp(started), None, None)
        self._batch.clicks.append((*head, *_NO_VISIT, *tail))
        self._note(bot, person, started, "attributed", click)

    def _direct(self) -> None:
        """People who opened a bot without an ad; a few of them buy."""
        rng, part = self._rng, self._part
        for _ in range(_about(rng, part.clicks * DIRECT / 4)):
            bot, person = rng.choice(rng.choice(self._bots)), self._maker.person(rng)
            at = part.begin + int(rng.random() * (part.end - part.begin))
            self._note(bot, person, at, "direct", None)
            if rng.random() < events.BUYERS / 2:
                self._batch.outbox += self._events.of_nobody(bot, person, at)

    @property
    def _bots(self) -> list[tuple[int, ...]]:
        return [ad.link.bots for ad in self._maker.ads(self._part.day)[0]]

    def _enter(self, moment: int, node: int, *, spooled: bool) -> None:
        figures = self._figures(moment, node)
        chance = self._rng.random()
        figures[0] += 1
        figures[2 if chance < WRITTEN else 1] += 1
        figures[4] += chance < 1 - HIDDEN
        figures[5] += spooled

    def _figures(self, moment: int, node: int) -> list[int]:
        minute = moment // MINUTE_MS
        found = self._books.get(minute)
        if found is None:
            found = self._books[minute] = [[0] * 6 for _ in range(NODES)]
        return found[node - 1]

    def _close(self) -> None:
        """The books, of one boot for each day and node. A minute that two slices share has an entry of each."""
        boot = f"{self._part.number:032x}"
        self._batch.accounting += [
            (node, boot, minute, *figures)
            for minute, nodes in self._books.items()
            for node, figures in enumerate(nodes, 1)
            if figures[0]
        ]


def _about(rng: Random, mean: float) -> int:
    """A whole number whose mean is `mean`."""
    return int(mean) + (rng.random() < mean % 1)
