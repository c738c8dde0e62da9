"""Batches of rows made ahead, in processes of their own: the one that writes them has no time to make them as well."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from random import Random
from typing import Any

from loadtests.history.catalog import make_catalog
from loadtests.history.plan import History, Slice
from loadtests.history.rows import Batch, Maker
from loadtests.history.stores import Encode
from loadtests.history.visits import visit_pool

TRANSACTION = 40_000  # clicks: about 60 MB of rows in memory
MOST_PROCESSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One transaction: by table its columns and its rows as the store takes them. following: the slice that is next."""

    tables: list[tuple[str, tuple[str, ...], Any]]
    following: int
    clicks: int
    rows: int


def batches(history: History, parts: Sequence[Slice], encode: Encode) -> Iterator[Made]:
    """All that these slices hold, in their order; at most a few batches are made ahead."""
    groups = list(_groups(parts))
    if len(groups) < 2:
        maker = make_maker(history)
        yield from (make(maker, group, encode) for group in groups)
        return
    processes = min(MOST_PROCESSES, max(1, (os.cpu_count() or 2) - 1), len(groups))
    with ProcessPoolExecutor(processes, get_context("spawn"), _prepare, (history, encode)) as pool:
        yield from _in_order(pool, groups, ahead=processes + 1)


def make_maker(history: History) -> Maker:
    """What makes the rows of a history."""
    catalog = make_catalog(history, Random(f"{history.seed}/catalog"))
    return Maker(history, catalog, visit_pool(Random(f"{history.seed}/visits")))


def make(maker: Maker, parts: Sequence[Slice], encode: Encode) -> Made:
    """One transaction."""
    batch = Batch()
    for part in parts:
        maker.add(part, batch)
    found = list(batch.tables())
    return Made(
        tables=[(table, columns, encode(rows)) for table, columns, rows in found],
        following=parts[-1].number + 1,
        clicks=sum(part.clicks for part in parts),
        rows=sum(len(rows) for _, _, rows in found),
    )


def _groups(parts: Sequence[Slice]) -> Iterator[list[Slice]]:
    group: list[Slice] = []
    for part in parts:
        group.append(part)
        if sum(each.clicks for each in group) >= TRANSACTION:
            yield group
            group = []
    if group:
        yield group


def _in_order(pool: ProcessPoolExecutor, groups: Iterable[list[Slice]], *, ahead: int) -> Iterator[Made]:
    waiting: deque[Future[Made]] = deque()
    try:
        for group in groups:
            waiting.append(pool.submit(_make, group))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


_ours: list[tuple[Maker, Encode]] = []  # of a process of the pool: what it was started with


def _prepare(history: History, encode: Encode) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the one that writes
    _ours.append((make_maker(history), encode))


def _make(parts: list[Slice]) -> Made:
    maker, encode = _ours[0]
    return make(maker, parts, encode)
