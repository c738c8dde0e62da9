"""Where the load goes: a Trilha that is started for it, or one that is there."""

from __future__ import annotations

import ipaddress
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from loadtests.ad import click_bytes
from loadtests.children import Child, Children, fetch, free_port
from loadtests.home import Books, Home
from loadtests.machine import Pins
from loadtests.openloop import OpenLoop
from loadtests.plan import HOST, CannotRun, RungFailed, Say
from loadtests.steps import complaints_of
from loadtests.valkey import Valkey
from loadtests.verdict import balance, faults_of

SETTLE_SECONDS = 180.0
WARM_RATE = 100
NOT_LOOPBACK = (
    "{url} is not this machine. Load on a host that you do not own is an attack. If it is yours, say so with "
    "--i-own-this-host"
)


@dataclass(slots=True, kw_only=True)
class Target:
    """The two listeners. The API key is in a file, and nowhere else."""

    public: str
    private: str
    api_key_file: Path


@dataclass(slots=True, kw_only=True)
class Accounts:
    """The books after a run. `answered`: clicks that got their 302, the warm-up's too; `uncertain`: those without an answer.

    `complaints`: everything that does not balance.
    """

    answered: int
    uncertain: int
    issued: int
    stored: int
    started: int
    complaints: list[str] = field(default_factory=list)


class OwnTarget:
    """A daemon, its worker and a Valkey on a home of their own."""

    def __init__(self, home: Home, children: Children, pins: Pins, valkey: Valkey) -> None:
        key = home.folder / "load-api-key"
        key.touch(mode=0o600)
        key.write_text(home.api_key(), encoding="utf-8")  # before the daemon starts: it reads its keys then
        self._home = home
        self._serve: Child = home.serve(children, pins.server, redis_url=valkey.url)
        self._work: Child = home.work(children, pins.server)
        self._work.wait_until(
            lambda: fetch(int(home.settings["work_bind"].rpartition(":")[2]), "/readyz")[0] == 200
        )
        self._warmed = uvloop.run(OpenLoop(HOST, home.public, click_bytes(), WARM_RATE, 1).run())
        address = f"http://{HOST}"
        self.target = Target(
            public=f"{address}:{home.public}", private=f"{address}:{home.private}", api_key_file=key
        )

    def close_books(self, acknowledged: int, uncertain: int, say: Say) -> Accounts:
        """End the daemon, let the worker settle everything, and compare. RungFailed when it does not come to an end."""
        complaints = complaints_of(self._home.metrics(), but=("unknown_slug", "bad_method"))
        self._serve.end()
        books = self._settled(say)
        self._work.end()
        complaints += faults_of(books) if not books.balanced else []
        acknowledged += self._warmed.statuses[302]
        uncertain += self._warmed.errors
        complaints += balance("issued", books.issued, acknowledged, uncertain)
        complaints += balance("stored", books.stored, acknowledged, uncertain)
        return Accounts(
            answered=acknowledged,
            uncertain=uncertain,
            issued=books.issued,
            stored=books.stored,
            started=books.started,
            complaints=complaints,
        )

    def _settled(self, say: Say) -> Books:
        """The books once the worker has moved everything into SQL."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while (books := self._home.books()).in_spools:
            say(f"settling: {books.in_spools:,} clicks wait")
            if time.monotonic() > deadline or not self._work.alive:
                raise RungFailed(f"{books.in_spools} clicks are not settled: {self._work.tail()}")
            time.sleep(0.5)
        return books


@contextmanager
def own_target(valkey: Path, folder: Path, pins: Pins) -> Iterator[OwnTarget]:
    """One that is started for this run, and of which nothing is left afterwards."""
    made = Path(tempfile.mkdtemp(prefix="trilha-load-", dir=folder))
    try:
        with Children() as children:
            home = Home(made / "home", work_bind=f"{HOST}:{free_port()}")
            home.make()
            yield OwnTarget(home, children, pins, Valkey(valkey, children, made, pins.others))
    finally:
        shutil.rmtree(made, ignore_errors=True)


def check_target(url: str, *, own: bool) -> str:
    """The URL without its last slash. CannotRun for one that is none, and for another machine unless it is one's own."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
        raise CannotRun(f"not the URL of a listener: {url!r}. Write http://127.0.0.1:8080")
    if not own and not _is_loopback(parts.hostname):
        raise CannotRun(NOT_LOOPBACK.format(url=url))
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    """Names are not looked up: localhost alone is this machine for certain."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
