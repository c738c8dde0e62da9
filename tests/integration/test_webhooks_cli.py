"""trilha webhook as the operator's hands use it, and what its receivers get: real commands, a real file, real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from backends.sql.engine import make_engine
from backends.sql.webhooks import SqlWebhooks
from chaos.servers import free_port
from cli.common import EXIT_CONFIG, EXIT_FAILED
from delivery.destination import Accepted, Ready, Refusal
from delivery.safe_http import SafeHttp
from delivery.webhook import MOST_EVENTS, WebhookDestination
from domain.clock import ManualClock, SystemClock
from domain.webhooks import Webhook
from privacy.keyring import Keyring
from privacy.webhook_secrets import WebhookSecrets
from tests.commands import Commands
from tests.making import PATIENT
from tests.receiver import LOOPBACK, Call, Receiver, receiving

SECRET = "c0ffee0123456789" * 4
URL = "https://127.0.0.1.nip.test/"


class Hands:
    """An operator with a home of their own, whose commands run in this process."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.home, self.sql_url = home, f"sqlite+aiosqlite:///{home / 'trilha.db'}"
        self.commands = Commands(patch, capture, home_dir=str(home), sql_url=self.sql_url)
        self("keys", "create")
        self("migrate")

    def __call__(self, *words: str, given: str = "", code: int = 0) -> str:
        """What the command says: on standard output, or of wrong configuration on standard error."""
        said = self.commands(*words, given=given, code=code)
        return said.err if code == EXIT_CONFIG else said.out

    def json(self, *words: str, given: str = "", code: int = 0) -> Any:
        return json.loads(self("webhook", *words, "--json", given=given, code=code))

    def stored(self, name: str) -> Webhook:
        async def read() -> Webhook | None:
            engine = make_engine(self.sql_url, patience=PATIENT)
            try:
                return await SqlWebhooks(engine).find(name)
            finally:
                await engine.dispose()

        found = asyncio.run(read())
        assert found
        return found

    def secret_of(self, webhook: Webhook) -> str | None:
        """As a worker opens it."""
        return WebhookSecrets(Keyring(self.home / "secrets" / "keyring.json", SystemClock())).of(webhook)

    def files(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.home.rglob("*") if path.is_file())


@pytest.fixture
def hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hands:
    made = Hands(tmp_path / "home", monkeypatch, capsys)
    made.commands.set(webhook_hosts=LOOPBACK)
    return made


@contextmanager
def outside(status: int = 204, body: bytes = b"") -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A receiver beside the command's own event loop: its URL, and signatures with bodies."""
    seen: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            seen.append((self.headers["trilha-signature"], self.rfile.read(length)))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/in", seen
        finally:
            server.shutdown()
            thread.join()


def is_signed(secret: str, header: str, body: bytes) -> bool:
    at, signature = (part.partition("=")[2] for part in header.split(","))
    wanted = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, signature)


def test_a_webhook_is_added_tried_listed_and_removed(hands: Hands) -> None:
    """Its secret is made, shown once, and what the receiver checks with."""
    assert "no webhooks yet" in hands("webhook", "list")
    with outside() as (url, seen):
        said = hands("webhook", "add", "crm", "--url", url)
        secret = said.partition("\n")[0]
        assert len(secret) > 40
        assert "answered 204" in hands("webhook", "test", "crm")
        [(header, body)] = seen
        assert is_signed(secret, header, body)
        assert not is_signed(secret, header, body + b" ")
        assert json.loads(body) == {"events": [], "ping": True}
        assert url in hands("webhook", "list")
        assert hands.secret_of(hands.stored("crm")) == secret
        assert secret.encode() not in hands.files()
        assert hands.commands.said.count(secret) == 1
        assert hands.json("remove", "crm") == {"name": "crm", "skipped": 0}
        assert hands.json("list") == []


def test_a_secret_of_ones_own_goes_in_by_standard_input_or_a_private_file_and_is_seen_nowhere(
    hands: Hands, tmp_path: Path
) -> None:
    url = f"http://{LOOPBACK}:8000/in"
    made = hands.json("add", "crm", "--url", url, "--secret-file", "-", given=SECRET + "\n")
    assert (made["name"], made["url"], made["secret"]) == ("crm", url, None)
    assert hands.secret_of(hands.stored("crm")) == SECRET
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(0o644)
    add = ("webhook", "add", "erp", "--url", url, "--secret-file", str(path))
    assert "chmod 600" in hands(*add, code=EXIT_CONFIG)
    path.chmod(0o600)
    hands(*add)
    crm, erp = hands.stored("crm"), hands.stored("erp")
    assert hands.secret_of(erp) == SECRET
    moved = Webhook(name="erp", url=url, secret=crm.secret, created_at_ms=0)
    assert hands.secret_of(moved) is None, "a sealed secret is its webhook's alone"
    assert SECRET not in hands.commands.said
    assert SECRET.encode() not in hands.files()


def test_a_webhook_gets_another_url_and_keeps_its_secret_or_gets_another_one(hands: Hands) -> None:
    first, second = f"http://{LOOPBACK}:8000/", f"http://{LOOPBACK}:8001/"
    secret = hands.json("add", "crm", "--url", first)["secret"]
    assert "--replace" in hands("webhook", "add", "crm", "--url", second, code=EXIT_CONFIG)
    replaced = hands.json("add", "crm", "--url", second, "--replace")
    assert (replaced["url"], replaced["secret"]) == (second, None)
    assert hands.secret_of(hands.stored("crm")) == secret
    hands("webhook", "add", "crm", "--url", second, "--replace", "--secret-file", "-", given=SECRET)
    assert hands.secret_of(hands.stored("crm")) == SECRET
    assert hands.stored("crm").created_at_ms > 0
    [only] = hands.json("list")
    assert only == {name: replaced[name] for name in ("name", "url", "created_at")}


def test_mistakes_are_refused_in_words_and_register_nothing(hands: Hands) -> None:
    hands.commands.set(webhook_hosts="")
    refused = [
        (("add", "CRM", "--url", "https://127.0.0.1/"), "", "not a name of a webhook"),
        (("add", "crm", "--url", "https://127.0.0.1/s3cr3t"), "", "TRILHA_WEBHOOK_HOSTS"),
        (("add", "crm", "--url", "https://[::ffff:10.0.0.1]/s3cr3t"), "", "not public"),
        (("add", "crm", "--url", "https://169.254.169.254/s3cr3t"), "", "not public"),
        (("add", "crm", "--url", "https://localhost/s3cr3t"), "", "not public"),
        (("add", "crm", "--url", "https://2130706433/s3cr3t"), "", "is a number"),
        (("add", "crm", "--url", "http://127.0.0.1/s3cr3t"), "", "not https"),
        (("add", "crm", "--url", "https://me:s3cr3t@127.0.0.1/"), "", "user name"),
        (("add", "crm", "--url", "crm.example.com"), "", "https://host/path"),
        (("add", "crm", "--url", "https://1.1.1.1/", "--secret-file", "-"), "s3cr3t", "no secret to sign with"),
        (("add", "crm", "--url", "https://1.1.1.1/", "--secret-file", "/no/such"), "", "cannot be read"),
        (("test", "crm"), "", "trilha webhook list"),
        (("remove", "crm"), "", "trilha webhook list"),
    ]  # fmt: skip
    for words, given, said in refused:
        assert said in hands("webhook", *words, given=given, code=EXIT_CONFIG), words
    assert "s3cr3t" not in hands.commands.said
    assert hands.json("list") == []
    hands.commands.set(webhook_hosts="10.0.0.0/8")
    assert "no host" in hands("webhook", "add", "crm", "--url", "https://1.1.1.1/", code=EXIT_CONFIG)


def test_a_test_says_what_came_back_and_obeys_no_escape_of_it(hands: Hands) -> None:
    with outside(403, b"\x1b[31mno\r\nentry\x07" + b"x" * 500) as (url, _):
        hands("webhook", "add", "crm", "--url", url)
        said = hands("webhook", "test", "crm", code=EXIT_FAILED)
        found = hands.json("test", "crm", code=EXIT_FAILED)
    assert "403: it refuses us" in said
    assert "\x1b" not in said
    assert (found["accepted"], found["status"]) == (False, 403)
    assert found["body"].startswith("[31mno  entry")
    assert len(found["body"]) <= 200
    hands("webhook", "add", "crm", "--url", f"http://{LOOPBACK}:{free_port()}/", "--replace")
    found = hands.json("test", "crm", code=EXIT_FAILED)
    assert (found["status"], found["reason"]) == (None, "no connection could be made to its address")


def test_a_secret_that_the_key_ring_here_does_not_open_is_said(hands: Hands) -> None:
    hands("webhook", "add", "crm", "--url", f"http://{LOOPBACK}:8000/")
    (hands.home / "secrets" / "keyring.json").unlink()
    hands("keys", "create")
    assert "does not open" in hands("webhook", "test", "crm", code=EXIT_CONFIG)


# ---------------------------------------------------------------- events on their way


def events(count: int) -> list[Ready]:
    return [
        Ready(id=UUID(int=number), body=b'{"id":"%d"}' % number, matched=(), attempts=1)
        for number in range(count)
    ]


def destination(receiver: Receiver, clock: ManualClock) -> WebhookDestination:
    return WebhookDestination(
        url=f"http://{LOOPBACK}:{receiver.port}/in",
        secret=SECRET,
        client=SafeHttp(allowed=[LOOPBACK], seconds=PATIENT),
        clock=clock,
    )


def ids(call: Call) -> list[str]:
    assert is_signed(SECRET, call.header("trilha-signature"), call.body)
    assert call.header("content-type") == "application/json"
    return [event["id"] for event in json.loads(call.body)["events"]]


async def test_a_batch_is_one_signed_call_and_each_call_is_signed_anew() -> None:
    clock = ManualClock()
    async with receiving() as receiver:
        to = destination(receiver, clock)
        assert await to.send(events(MOST_EVENTS)) == Accepted()
        clock.advance(60)
        assert await to.send(events(1)) == Accepted()
    first, second = receiver.calls
    assert (len(ids(first)), ids(second)) == (to.most, ["0"])
    times = [int(call.header("trilha-signature").partition(",")[0][2:]) for call in receiver.calls]
    assert times[1] - times[0] == 60


async def test_a_receiver_that_wants_fewer_calls_says_for_how_long() -> None:
    answer = b"HTTP/1.1 429 Slow\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n"
    async with receiving(Receiver(answer)) as receiver:
        found = await destination(receiver, ManualClock()).send(events(2))
    assert isinstance(found, Refusal)
    assert (found.kind, found.code, found.retry_after) == ("throttled", "429", 17.0)
