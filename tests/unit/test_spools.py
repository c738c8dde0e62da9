"""What a person left in the spools of this machine, found and removed; every byte of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from backends.codec import encode, pack
from backends.spool import ASIDE, Entry, Spool, spools_under
from backends.spools import LocalSpools
from domain.attribution import Owner, Start
from domain.click import Tombstone
from tests.making import NOW, full_click, make_spool, spool_beside, start_of

ANA, BIA = 0x5A_C39E_71B4, 8


@pytest.fixture
def spools(tmp_path: Path) -> LocalSpools:
    return LocalSpools(tmp_path, spool_beside)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Callable[[str], Spool]]:
    """Makes spools that have a writer, closed in the end."""
    with ExitStack() as made:

        def make(name: str) -> Spool:
            spool = make_spool(tmp_path / name)
            made.callback(spool.close)
            return spool

        yield make


def bytes_under(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


async def test_a_persons_waiting_starts_are_found_and_removed_up_to_a_moment(
    tmp_path: Path, spools: LocalSpools, writer: Callable[[str], Spool]
) -> None:
    first, second = writer("a"), writer("b")
    early = start_of(full_click(), ANA)
    late = Start.direct(Owner(bot_id=2, telegram_id=ANA), at_ms=NOW + 9_000, update_id=1)
    his = start_of(full_click(), BIA)
    first.append([(early, encode(early)), (his, encode(his))])
    second.append([(late, encode(late))])
    assert await spools.of_person(ANA) == ([early, late], True)
    assert await spools.remove_person(ANA, until_ms=NOW + 5_000)
    assert await spools.of_person(ANA) == ([late], True)
    assert await spools.of_person(BIA) == ([his], True)


async def test_after_discarding_and_scrubbing_no_byte_of_it_is_in_the_spools(
    tmp_path: Path, spools: LocalSpools, writer: Callable[[str], Spool]
) -> None:
    """Among them those of records that were trimmed before; what others left stays."""
    marks = [bytes([n]) * 40 for n in range(1, 5)]
    batch = [full_click(sealed=mark * 20) for mark in marks]
    start = start_of(batch[0], ANA)
    spool = writer("a")
    for click in batch:
        spool.append([pack(click)])
    spool.append([(start, encode(start))])
    beside = spool_beside(tmp_path / "a")
    beside.trim([entry for entry in beside.entries() if any(r == batch[3] for r in entry.found.records)])
    beside.close()
    assert await spools.discard([batch[0].id, batch[1].id])
    assert await spools.remove_person(ANA, until_ms=start.at_ms)
    assert await spools.scrub()
    everything = bytes_under(tmp_path)
    assert [mark in everything for mark in marks] == [False, False, True, False]
    assert ANA.to_bytes(5, "big") not in everything
    left = [r for entry in spool.entries() for r in entry.found.records if isinstance(r, Tombstone)]
    assert {tombstone.click_id for tombstone in left} == {batch[0].id, batch[1].id}


async def test_what_was_set_aside_of_a_person_is_deleted_damaged_or_not(
    tmp_path: Path, spools: LocalSpools, writer: Callable[[str], Spool]
) -> None:
    click, his = full_click(), full_click()
    start = start_of(full_click(), ANA)
    spool = writer("a")
    entry = Entry("c", None, Entry.of("c", b"").found)
    for piece in (pack(click).raw, pack(his).raw, encode(start), b"\x00" + encode(start)[1:]):
        spool.set_aside(entry, piece)
    assert await spools.discard([click.id])
    assert await spools.remove_person(ANA, until_ms=NOW)
    assert [path.read_bytes() for path in (tmp_path / ASIDE).glob("*.bin")] == [pack(his).raw]


async def test_a_spool_that_cannot_be_read_is_said_and_holds_up_no_other(
    tmp_path: Path, spools: LocalSpools, writer: Callable[[str], Spool]
) -> None:
    start = start_of(full_click(), ANA)
    writer("b").append([(start, encode(start))])
    (tmp_path / "a").mkdir(mode=0o700)
    (tmp_path / "a" / "cache.db").write_bytes(b"not a database" * 100)
    assert len(spools_under(tmp_path)) == 2
    assert await spools.of_person(ANA) == ([start], False)
    assert not await spools.remove_person(ANA, until_ms=start.at_ms)
    assert await spools.of_person(ANA) == ([], False)
