"""Faults of the disk hit what they say, and only that: the rest of the spool is read as it was written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from shutil import copytree

import pytest

from backends.build import open_stores
from backends.codec import encode
from backends.folders import private_folder
from backends.spool import DATABASE, Spool
from backends.sql.engine import close_engine, make_engine
from backends.sql.migrate import migrate
from chaos.checker.held import read_held
from chaos.faults._spool_files import batches, last_frame, records
from chaos.faults.disk_bit_flip import flip
from chaos.faults.inside import Inside
from chaos.inside.files import Files
from chaos.inside.process import Process
from chaos.inside.switches import Given, Switches
from domain.click import Click
from domain.clock import SystemClock
from domain.errors import StoreUnavailable
from domain.observations import Silent
from runtime.settings import load_settings
from tests.making import bare_click, full_click, make_spool, spool_beside

COMMITS = 5
LOG = f"{DATABASE}-wal"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """One that somebody writes to."""
    living = make_spool(tmp_path / "living")
    yield living
    living.close()


def put(spool: Spool, *clicks: Click) -> None:
    spool.append([(click, encode(click)) for click in clicks])


def clicks_in(spool: Spool) -> list[Click]:
    """All that can be read, the newest first."""
    found = [record for entry in spool.newest(10_000) for record in entry.found.records]
    return [record for record in found if isinstance(record, Click)]


def damaged_in(spool: Spool) -> list[bytes]:
    return [piece for entry in spool.newest(10_000) for piece in entry.found.damaged]


def killed(spool: Spool, to: Path) -> Path:
    """The spool as it lies on the disk when its daemon is killed: closing it would tidy it up."""
    return copytree(spool.folder, to, ignore=lambda _, names: [n for n in names if n.endswith("-shm")])


def read_back(folder: Path) -> tuple[list[Click], list[bytes]]:
    spool = spool_beside(folder)
    try:
        return clicks_in(spool), damaged_in(spool)
    finally:
        spool.close()


def same(found: Iterable[Click], wanted: Iterable[Click]) -> bool:
    return {click.id for click in found} == {click.id for click in wanted}


def test_a_torn_tail_takes_the_last_commit_and_no_other(spool: Spool, tmp_path: Path) -> None:
    wanted = [full_click() for _ in range(COMMITS)]
    for click in wanted:
        put(spool, click)
    folder = killed(spool, tmp_path / "dead")
    begins, ends = last_frame((folder / LOG).read_bytes())
    os.truncate(folder / LOG, (begins + ends) // 2)
    found, damaged = read_back(folder)
    assert same(found, wanted[:-1])
    assert damaged == []


def test_the_end_of_a_log_that_is_used_again_is_the_end_of_its_latest_round(spool: Spool) -> None:
    """What lies behind it is of an earlier round, and nobody's last commit."""
    for _ in range(COMMITS):
        put(spool, full_click())
    batches(spool.folder)  # makes the log begin anew
    put(spool, full_click())
    first_round = (spool.folder / LOG).stat().st_size
    assert last_frame((spool.folder / LOG).read_bytes())[1] <= first_round
    log = (spool.folder / LOG).read_bytes()
    begins, ends = last_frame(log)
    older = log[begins : begins + 8] + bytes(8) + log[begins + 16 : ends]
    assert last_frame(log[:ends] + older) == (begins, ends)


def test_a_log_without_a_frame_has_no_tail_to_tear() -> None:
    with pytest.raises(ValueError, match="no frame"):
        last_frame(bytes(8) + (4096).to_bytes(4, "big") + bytes(20))


def test_a_flipped_bit_damages_one_record_and_the_rest_is_read(spool: Spool, tmp_path: Path) -> None:
    """Also the other clicks of the same commit, and the count that lies with them."""
    together, alone = [full_click(), full_click()], full_click()
    put(spool, *together)
    put(spool, alone)
    folder = killed(spool, tmp_path / "dead")
    hit = flip(folder / DATABASE, batches(folder)[0])
    found, damaged = read_back(folder)
    assert len(damaged) == 1
    assert hit in {click.id.hex for click in together}
    assert same(found, [click for click in [*together, alone] if click.id.hex != hit])


def test_a_flip_says_which_click_it_has_hit(spool: Spool, tmp_path: Path) -> None:
    click = bare_click()
    put(spool, click)
    folder = killed(spool, tmp_path / "dead")
    assert flip(folder / DATABASE, batches(folder)[0]) == click.id.hex


async def test_the_checker_sees_a_click_wait_in_a_spool(spool: Spool, tmp_path: Path) -> None:
    click, other = bare_click(), full_click()
    put(spool, click)
    url = f"sqlite+aiosqlite:///{tmp_path / 'trilha.db'}"
    engine = make_engine(url, patience=5.0)
    await migrate(engine)
    await close_engine(engine)
    held = read_held(url, spool.folder.parent)
    assert (held.waits(click.id.hex), held.waits(other.id.hex)) == (True, False)


def test_the_records_of_a_batch_are_its_click_and_its_count(spool: Spool, tmp_path: Path) -> None:
    click = bare_click()
    put(spool, click)
    (batch,) = batches(killed(spool, tmp_path / "dead"))
    found = list(records(batch))
    assert found[0][1] == encode(click)
    assert [batch[at : at + len(raw)] for at, raw in found] == [raw for _, raw in found]
    assert len(found) == 2


class OneProcess:
    """A stage of a single process, whose switches are here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def switches(self, _name: str) -> Switches:
        return Switches(self._folder)


def test_a_fault_inside_a_process_is_on_until_its_end(tmp_path: Path) -> None:
    seen: list[Given | None] = []
    process = Switches(tmp_path)
    process.watch("disk", seen.append)
    process.start()
    fault = Inside(process="serve", which="disk", settings={"sync_ms": 50})
    fault.begin(OneProcess(tmp_path))  # type: ignore[arg-type]
    assert seen == [{"sync_ms": 50}]
    fault.end(OneProcess(tmp_path))  # type: ignore[arg-type]
    fault.end(OneProcess(tmp_path))  # type: ignore[arg-type]
    assert seen == [{"sync_ms": 50}, None]


def test_a_fault_inside_a_process_says_where_and_what_it_is() -> None:
    assert Inside(process="serve", which="files").says == "serve: files"
    assert Inside(process="serve", which="disk", settings={"write": "io"}).says == "serve: disk (write io)"


async def test_a_process_without_descriptors_leaves_no_folders_and_goes_on_when_it_has_some(
    tmp_path: Path,
) -> None:
    """The spool cannot be opened, which is an outage like any other, however often it is tried."""
    settings = load_settings({"TRILHA_HOME_DIR": str(tmp_path)})
    private_folder(settings.spools)
    stores = open_stores(settings, SystemClock(), Silent(), name="daemon", person_key=lambda _: bytes(16))
    click, files = full_click(), Files(Process())
    files.on()
    try:
        for _ in range(COMMITS):
            with pytest.raises(StoreUnavailable):
                await stores.disk.put(click)
    finally:
        files.off()
    assert list(settings.spools.iterdir()) == []
    assert (await stores.disk.put(click)).durability.acknowledged
    await stores.close()
