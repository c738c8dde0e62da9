"""Writing a history: slice by slice, so many clicks to a transaction, and on from where it stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

from loadtests.history.catalog import catalog_rows, make_catalog
from loadtests.history.making import Made, batches
from loadtests.history.plan import CannotWrite, History, iso, slices
from loadtests.history.stores import Store, open_store
from loadtests.history.tables import PEOPLE, advance, begin, check_tables, empty, holds, noted
from loadtests.plan import Say

NOT_EMPTY = (
    "the database is not empty ({table} has rows). A history is written into one of its own: make a new one, or go on with "
    "--resume, or write a made-up one anew with --fresh"
)
NOT_OURS = "the database holds no made-up history; what is in it stays"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written by this run (not by one before it), and how fast."""

    history: History
    store: str
    clicks: int
    rows: int
    seconds: float

    @property
    def rate(self) -> float:
        """Clicks a second, everything that belongs to them included."""
        return self.clicks / self.seconds if self.seconds else 0.0


def carry_out(url: str, wanted: History, say: Say, *, resume: bool = False, fresh: bool = False) -> Written:
    """Write a history into the database of that URL, and touch nothing else. CannotWrite: it may not or cannot be."""
    store = open_store(url)
    try:
        history, following = prepare(store, wanted, resume=resume, fresh=fresh)
        return write(store, history, following, say)
    finally:
        store.close()


def prepare(store: Store, wanted: History, *, resume: bool, fresh: bool) -> tuple[History, int]:
    """What is to be written, and from which slice on. CannotWrite when it must not be; nothing was changed then."""
    check_tables(store)
    found = noted(store)
    if resume:
        if found is None:
            raise CannotWrite(f"{NOT_OURS}. Begin one without --resume")
        return _same(found, wanted)
    if fresh and found is not None:
        empty(store)
    elif (table := holds(store)) is not None:
        raise CannotWrite(NOT_OURS if fresh else NOT_EMPTY.format(table=table))
    elif found is not None:
        empty(store)  # begun, and ended before its first row
    return wanted, 0


def write(store: Store, history: History, following: int, say: Say) -> Written:
    """Write it, from that slice on."""
    if following == 0:
        _begin(store, history)
    parts = slices(history)[following:]
    progress = _Progress(sum(part.clicks for part in parts), say)
    for made in batches(history, parts, store.encode):
        for table, columns, rows in made.tables:
            store.write(table, columns, rows)
        advance(store, made.following)
        store.commit()
        progress.wrote(made)
    if parts:
        say("people, from their starts")
        store.do(PEOPLE)
        store.commit()
    store.do("ANALYZE")
    store.commit()
    return progress.done(history, store.name)


def _begin(store: Store, history: History) -> None:
    catalog = make_catalog(history, Random(f"{history.seed}/catalog"))
    begin(store, history)
    for table, (columns, rows) in catalog_rows(catalog, history).items():
        store.write(table, columns, store.encode(rows))
    store.do("UPDATE catalog SET version = version + 1")


def as_json(done: Written) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "store": done.store,
        "clicks": done.clicks,
        "rows": done.rows,
        "seconds": round(done.seconds, 2),
        "clicks_per_second": round(done.rate),
        "since": iso(done.history.since_ms),
        "until": iso(done.history.until_ms),
        "seed": done.history.seed,
    }


def as_text(done: Written) -> str:
    """The same in a line, and what to do next."""
    return (
        f"{done.clicks:,} clicks in {done.rows:,} rows, {done.seconds:,.1f} s: {done.rate:,.0f} clicks/s on {done.store}\n"
        "Reports and dashboard read rollups, which are behind now: a running trilha work counts what waits, "
        "a few thousand rows a second"
    )


def _same(found: tuple[History, int], wanted: History) -> tuple[History, int]:
    history, following = found
    names = ("clicks", "days", "links", "ads", "seed")
    if other := [name for name in names if getattr(history, name) != getattr(wanted, name)]:
        was = " ".join(f"--{name} {getattr(history, name)}" for name in names)
        raise CannotWrite(f"--{other[0]} differs from what this history was begun with: {was}")
    return history, following


class _Progress:
    def __init__(self, clicks: int, say: Say) -> None:
        self._all = clicks
        self._say = say
        self._began = self._said = time.monotonic()
        self._clicks = self._rows = 0

    def wrote(self, made: Made) -> None:
        self._clicks += made.clicks
        self._rows += made.rows
        now = time.monotonic()
        if now - self._said < 1 and self._clicks < self._all:
            return
        self._said = now
        rate = self._clicks / (now - self._began)
        left = max(0, self._all - self._clicks) / rate
        self._say(f"{self._clicks:,} of {self._all:,} clicks, {rate:,.0f}/s, {left:,.0f} s to go")

    def done(self, history: History, store: str) -> Written:
        seconds = time.monotonic() - self._began
        return Written(history=history, store=store, clicks=self._clicks, rows=self._rows, seconds=seconds)
