"""The loopback Meta: pixels, the listening socket, and what becomes of a call."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import msgspec

from tests.meta.control import Control
from tests.meta.faults import Faults, Struck
from tests.meta.kept import Call, Kept
from tests.meta.pixels import Pixels
from tests.meta.quality import quality
from tests.meta.refusals import Refusal, Refused, trace
from tests.meta.rules import check_batch, check_event
from tests.meta.wire import HOST, Answer, Connection, Drop, Request

VERSIONS = frozenset({"v24.0", "v25.0", "v26.0"})
_EVENTS = re.compile(r"/([^/]+)/([^/]+)/events/?")
_QUALITY = re.compile(r"/([^/]+)/dataset_quality/?")
_VERSION = re.compile(r"v\d+\.\d+")
_BODY_KEYS = frozenset({"data", "test_event_code", "access_token", "appsecret_proof", "partner_agent"})


class FakeMeta:
    """A server for as long as it is entered. What it knows outlives every connection, and an outage.

    port 0: any that is free. now: Unix seconds. whole: False keeps only which events came, not what was in them: for
    millions of them. seed: of faults that strike by share. connections: how many there were.
    """

    def __init__(
        self, *, port: int = 0, now: Callable[[], float] = time.time, whole: bool = True, seed: int = 1
    ) -> None:
        self.faults = Faults(seed)
        self.kept = Kept(whole=whole)
        self.pixels = Pixels(self.kept.leak)
        self.refused: Counter[str] = Counter()
        self.calls: list[Call] = []
        self.connections = 0
        self.port = port
        self._now = now
        self._control = Control(self)
        self._living: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._change = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.come_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.go_down()

    # ------------------------------------------------------------ what tests do

    @property
    def url(self) -> str:
        """Without a slash at its end; the same for as long as the server lives."""
        return f"http://{HOST}:{self.port}"

    def add_pixel(self, number: str, token: str, app_secret: str | None = None) -> None:
        """A pixel that the token opens; with `app_secret`, only together with the proof."""
        self.pixels.add(number, token, app_secret)

    def revoke(self, token: str) -> None:
        """The token is answered 190/463 from now on."""
        self.pixels.revoke(token)

    def renew(self, pixel: str, token: str) -> None:
        """The pixel has another token from now on, and the old one is revoked."""
        self.pixels.renew(pixel, token)

    async def come_up(self) -> None:
        """Listen, on the same port as ever."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._welcome, HOST, self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def go_down(self) -> None:
        """An outage: every connection ends, with what is under way, and new ones are refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.drop()
        tasks = [connection.task for connection in self._living]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def drop(self) -> None:
        """Every connection is closed. New ones are welcome."""
        for connection in self._living:
            connection.abort()

    # ------------------------------------------------------------ what tests look at

    @property
    def accepted(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """The first copy of each event, by pixel, event name and event id."""
        return self.kept.accepted

    @property
    def received(self) -> Counter[tuple[str, str, str]]:
        """How often each event came in calls that were accepted, known to their sender or not."""
        return self.kept.received

    @property
    def counted(self) -> Counter[tuple[str, str, str]]:
        """How often Meta counts each event: twice if it came again after 48 hours."""
        return self.kept.counted

    @property
    def tested(self) -> list[tuple[str, dict[str, Any]]]:
        """Events that came with a test_event_code, with their pixels."""
        return self.kept.tested

    @property
    def leaks(self) -> list[str]:
        """Secret or personal things that came where they must not. Must stay empty."""
        return self.kept.leaks

    @property
    def oddities(self) -> list[str]:
        """What Meta takes and is a mistake all the same. Should stay empty."""
        return self.kept.oddities

    async def wait_for(self, holds: Callable[[], Any], seconds: float = 10.0) -> None:
        """Until it holds: looked at after each call. TimeoutError after that many seconds."""
        async with asyncio.timeout(seconds):
            while not holds():
                await self._change.wait()

    # ------------------------------------------------------------ calls

    def _welcome(self) -> Connection:
        self.connections += 1
        return Connection(self._answer, self._living)

    async def _answer(self, request: Request) -> Answer | Drop:
        if self._server is None:
            return Drop()  # it was let in at the very end
        if request.path.startswith("/_fake/"):
            return self._control.answer(request)
        if (found := _EVENTS.fullmatch(request.path)) and request.method == "POST":
            return await self._events(found[1], found[2], request)
        if (found := _QUALITY.fullmatch(request.path)) and request.method == "GET":
            return self._quality(found[1], request)
        return _unknown_path().answer()

    async def _events(self, version: str, pixel: str, request: Request) -> Answer | Drop:
        struck = self.faults.strike(pixel)
        await asyncio.sleep(struck.seconds)
        if struck.hangs:
            self._note(pixel, 0, 0, "hang")
            await asyncio.Event().wait()  # ends with the server
        if struck.instead is not None:
            return self._instead(pixel, struck)
        try:
            return self._take(version, pixel, request, struck)
        except Refused as refused:
            return self._refuse(pixel, refused.refusal, struck)

    def _take(self, version: str, pixel: str, request: Request, struck: Struck) -> Answer | Drop:
        _check_version(version)
        body = _decoded(request)
        self.pixels.check(pixel, request, body)
        events = self._judged(body)
        if struck.takes:
            self._keep(pixel, events, body)
        says = len(events) if struck.says is None else struck.says + len(events) * (struck.says < 0)
        said = {"events_received": max(says, 0), "messages": [], "fbtrace_id": trace()}
        answer = Answer(status=200, body=msgspec.json.encode(said), headers=struck.headers)
        return self._told(pixel, answer, len(events), struck)

    def _judged(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        if unknown := body.keys() - _BODY_KEYS:
            raise Refused(Refusal(code=100, message=f"(#100) Unknown parameter {min(unknown)}"))
        events: list[dict[str, Any]] = body.get("data", [])
        check_batch(events)
        now = self._now()
        for number, event in enumerate(events):
            try:
                self._judge(event, number, now)
            except Refused:
                if isinstance(event, dict):
                    self.kept.faulty.add(str(event.get("event_id")))
                raise
        return events

    def _judge(self, event: dict[str, Any], number: int, now: float) -> None:
        check_event(event, number, now)
        if poison := self.faults.poison_of(event.get("event_id")):
            raise Refused(poison)

    def _keep(self, pixel: str, events: list[dict[str, Any]], body: dict[str, Any]) -> None:
        if "test_event_code" in body:
            self.kept.test(pixel, events)
        else:
            self.kept.take(pixel, events, self._now())

    # ------------------------------------------------------------ answers

    def _told(self, pixel: str, answer: Answer, events: int, struck: Struck) -> Answer | Drop:
        lost = struck.afterwards
        self._note(pixel, 0 if lost else answer.status, events, lost or None)
        if lost == "cut":
            return replace(answer, cut=True)
        return Drop(reset=lost == "reset") if lost else answer

    def _refuse(self, pixel: str, refusal: Refusal, struck: Struck) -> Answer | Drop:
        self.refused[refusal.name] += 1
        answer = refusal.answer()
        self._note(pixel, answer.status, 0, refusal.name)
        return replace(answer, headers={**answer.headers, **struck.headers})

    def _instead(self, pixel: str, struck: Struck) -> Answer | Drop:
        answer = struck.instead or Drop()
        self._note(pixel, 0 if isinstance(answer, Drop) else answer.status, 0, struck.name)
        return answer

    def _note(self, pixel: str, status: int, events: int, error: str | None) -> None:
        self.calls.append(Call(pixel=pixel, status=status, events=events, error=error, at=time.monotonic()))
        self._change.set()
        self._change = asyncio.Event()

    def _quality(self, version: str, request: Request) -> Answer:
        pixel = request.query.get("dataset_id", "")
        try:
            _check_version(version)
            self.pixels.check(pixel, request, {})
            said = quality(self.kept.coverage, pixel, request.query.get("fields", ""))
        except Refused as refused:
            self.refused[refused.refusal.name] += 1
            return refused.refusal.answer()
        return Answer(status=200, body=msgspec.json.encode(said))


def _check_version(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise Refused(_unknown_path())
    if version not in VERSIONS:
        says = "(#2635) You are calling a deprecated version of the Ads API. Please update to the latest version."
        raise Refused(Refusal(code=2635, message=says, transient=None))


def _unknown_path() -> Refusal:
    return Refusal(code=2500, message="Unknown path components", status=400, transient=None)


def _decoded(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(Refusal(code=100, message="(#100) param data must be an array."))
    try:
        body = msgspec.json.decode(request.body)
    except msgspec.DecodeError:
        raise Refused(Refusal(code=100, message="(#100) Invalid JSON.")) from None
    if not isinstance(body, dict):
        raise Refused(Refusal(code=100, message="(#100) param data must be an array."))
    return body
