"""A Meta of this machine, as a server of the stage: `python -m tests.meta` in a process of its own, ruled over HTTP."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any

from backends.sql.engine import make_engine
from backends.sql.pixels import SqlPixels
from chaos.servers.process import HOST, Server
from chaos.stage.home import PATIENCE, PIXEL
from chaos.stage.trilha import ROOT
from domain.clock import SystemClock
from privacy.keyring import Keyring
from privacy.pixel_tokens import Credentials, PixelTokens
from runtime.settings import load_settings

SECONDS = 10.0
EVERYTHING = 10_000_000


class MetaServer(Server):
    """Takes the events of the stage's pixel. What it has is in its memory: a drill makes it fail, and does not kill it."""

    prefix = "trilha-meta-"

    def __init__(self, port: int | None = None) -> None:
        super().__init__(port)
        self.token = _token(1)
        self._tokens = 1

    @property
    def settings(self) -> Mapping[str, str]:
        """What makes Trilha deliver here."""
        return {"TRILHA_META_URL": f"http://{HOST}:{self.port}"}

    def order(self, what: str, **said: Any) -> None:
        """POST /_fake/WHAT of tests/meta/control.py. OSError when it is refused or not answered."""
        self._ask("POST", what, json.dumps(said))

    def trouble(self, fault: str, **said: Any) -> None:
        """One of the faults of tests/meta/faults.py, from now on."""
        self.order("faults", fault=fault, **said)

    def stats(self) -> dict[str, Any]:
        """Counts of calls, refusals and connections."""
        return self._ask("GET", "stats")

    def accepted(self) -> dict[str, int]:
        """How often each event was accepted, by event id."""
        said = self._ask("GET", f"accepted?pixel={PIXEL}&limit={EVERYTHING}")
        return {each["event"]["event_id"]: each["times"] for each in said["events"]}

    def faulty(self) -> set[str]:
        """Ids of the events that it has refused a call for."""
        return set(self._ask("GET", "faulty")["event_ids"])

    def renew(self) -> str:
        """The pixel's new access token; the old one is revoked."""
        self._tokens += 1
        self.token = _token(self._tokens)
        self.order("renew", pixel=PIXEL, token=self.token)
        return self.token

    def _ask(self, method: str, what: str, body: str = "") -> dict[str, Any]:
        connection = HTTPConnection(HOST, self.port, timeout=SECONDS)
        try:
            connection.request(method, f"/_fake/{what}", body)
            answer = connection.getresponse()
            said: dict[str, Any] = json.loads(answer.read())
        except (HTTPException, ValueError) as error:
            raise ConnectionError(f"the loopback Meta: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError(f"the loopback Meta does not understand {what}: {said}")
        return said

    def _launch(self) -> None:
        token_file = self.directory / "token"
        token_file.write_text(self.token)
        pixel = ["--pixel", PIXEL, "--token-file", str(token_file)]
        command = [sys.executable, "-m", "tests.meta", "--port", str(self.port), *pixel, "--ids-only"]
        self._child.spawn(command, settings={"PYTHONPATH": str(ROOT)})

    def _answers(self) -> bool:
        try:
            return bool(self.stats())
        except OSError:
            return False


def connect_pixel(settings: Mapping[str, str], token: str) -> None:
    """Register the stage's pixel with its access token, as `trilha pixel add` does."""
    given, clock = load_settings(settings), SystemClock()
    sealed = PixelTokens(Keyring(given.secrets, clock)).seal(PIXEL, Credentials(token=token))

    async def put() -> None:
        engine = make_engine(given.sql, patience=PATIENCE)
        try:
            await SqlPixels(engine).put(PIXEL, sealed, at_ms=clock.now_ms())
        finally:
            await engine.dispose()

    asyncio.run(put())


def _token(number: int) -> str:
    """An access token of the form that Meta gives."""
    return f"EAAdrill{number:04d}{'x' * 48}"
