"""What the drills of processes and traffic do to the crowd and to spools, and what they count."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from backends.codec import encode
from chaos.checker.held import Figures, Held
from chaos.crowd.clicks import Clicks
from chaos.crowd.forger import forged
from chaos.crowd.plan import Plan
from chaos.crowd.starts import Starts
from chaos.crowd.told import Notebook, Told
from chaos.drill import Quiet
from chaos.faults.crash import WORDS, Crash
from chaos.faults.forged import SAID
from chaos.faults.replay import COPIES, copied
from chaos.figures.forged import forged_accepted
from chaos.inside.crash import POINTS
from domain.clock import ManualClock
from domain.errors import InvalidToken
from privacy.keyring import Keyring
from privacy.token import Minter
from tests.making import NOW, bare_click, make_spool, new_id, spool_beside

REDIRECT = b"HTTP/1.1 302 Found\r\nlocation: https://t.me/b?start=TOKEN\r\ncontent-length: 0\r\n\r\n"
OWNED = b'HTTP/1.1 200 OK\r\ncontent-length: 32\r\n\r\n{"owner":true,"state":"settled"}'


class Door:
    """A listener that gives everybody the same answer."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.asked = 0

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"Content-Length: " in head:
                    await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split()[0]))
                self.asked += 1
                writer.write(self._answer)
        except asyncio.IncompleteReadError:
            writer.close()


@pytest_asyncio.fixture
async def door() -> AsyncIterator[Door]:
    made = Door(REDIRECT)
    yield made
    await made.close()


@pytest.fixture
def shut() -> int:
    """A port that refuses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "told.jsonl"


def plan(public: list[int], private: list[int] | None = None) -> Plan:
    return Plan(public=public, private=private or [], api_key="k", slug="s", bot="b", rate=500)


async def clicked(given: Plan, notes: Path, *, at_least: int = 10) -> Told:
    """What so many visitors were told."""
    notebook, heard = Notebook(notes), []
    clicks = Clicks(given, notebook, lambda number, _: heard.append(number))
    running = asyncio.create_task(clicks.run())
    while len(Told.read(notes).clicks) < at_least:
        await asyncio.sleep(0.01)
    clicks.stop()
    await running
    notebook.close()
    return Told.read(notes)


async def test_a_balanced_visitor_whose_daemon_refuses_is_sent_to_the_other_one(
    door: Door, shut: int, notes: Path
) -> None:
    told = await clicked(replace(plan([shut, await door.open()]), balanced=True), notes)
    assert all(click.redirected for click in told.clicks)
    assert door.asked == len(told.clicks)


async def test_without_a_balancer_every_second_visitor_is_refused(door: Door, shut: int, notes: Path) -> None:
    told = await clicked(plan([shut, await door.open()]), notes)
    assert {click.trouble for click in told.clicks if click.number % 2 == 0} == {"refused"}
    assert all(click.redirected for click in told.clicks if click.number % 2)


async def test_the_second_person_presses_so_many_seconds_after_the_first(notes: Path) -> None:
    door, notebook = Door(OWNED), Notebook(notes)
    given = replace(plan([], [await door.open()]), start_each=1, contest_each=2, start_after=0.01)
    starts = Starts(replace(given, contest_after=0.2), notebook)
    starts.heard(1, "TOKEN")
    await starts.run()
    notebook.close()
    await door.close()
    first, second = Told.read(notes).starts
    assert second.person == first.person + 1
    assert second.at - first.at >= 0.19


def test_every_point_at_which_a_process_can_be_killed_has_words_for_the_report() -> None:
    assert set(WORDS) == set(POINTS)
    assert Crash(target="serve-1", point="after_302").loses_receipts
    assert not Crash(target="work", point="after_commit_before_trim").loses_receipts


def test_no_forged_token_is_one_and_each_kind_differs_from_the_real_one(tmp_path: Path) -> None:
    clock = ManualClock(now_ms=NOW)
    minter = Minter(
        Keyring.create(tmp_path / "keys" / "keyring.json", clock), clock, node=1, attribution_days=28
    )
    real = minter.mint(link_id=1, click_id=new_id(), ad_key=bytes(8)).text
    minter.verify(real)
    made = [forged(real, number) for number in range(4)]
    assert len({*made, real}) == 5
    for token in made:
        with pytest.raises(InvalidToken):
            minter.verify(token)


def test_whatever_is_not_refused_as_invalid_counts_as_accepted(tmp_path: Path) -> None:
    assert forged_accepted(tmp_path) == 0
    (tmp_path / SAID).write_text(
        json.dumps({"seconds": 1, "statuses": {"422": 5, "200": 2, "503": 1, "0": 1}})
    )
    assert forged_accepted(tmp_path) == 4


def test_copies_of_a_spool_each_lack_another_third_and_are_spools_without_a_writer(tmp_path: Path) -> None:
    spool = make_spool(tmp_path / "spool")
    clicks = [bare_click(id=new_id(NOW + 2000 * number)) for number in range(9)]
    for click in clicks:
        spool.append([(click, encode(click))])
    held = []
    for third in (None, *range(COPIES)):
        copy = spool_beside(copied(spool.folder, tmp_path / "copies", leave_out=third))
        held.append({click.id for click in clicks if copy.find(click.id)})
        assert copy.adopt()
        copy.close()
    whole, *thinned = held
    spool.close()
    assert whole == {click.id for click in clicks}
    assert [len(whole - part) for part in thinned] == [3, 3, 3]
    assert set.union(*(whole - part for part in thinned)) == whole


def test_it_is_quiet_once_nothing_waits_and_nothing_has_changed_for_so_long() -> None:
    waiting, settled = Held(waiting=1), Held()
    assert not Quiet(0.0).since(settled)
    quiet = Quiet(1e-9)
    assert not quiet.since(waiting)
    assert not quiet.since(waiting)
    assert not quiet.since(settled)
    assert quiet.since(settled)
    assert not quiet.since(Held(books=Figures(issued=1)))
