"""Nothing personal or secret of a conversion is anywhere but where it must be, on the whole way from the click to Meta, to a
webhook, to the operator's screen and into every file; and by no log line, error, repr or metric.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from backends.sql.engine import make_engine, transaction
from backends.sql.pixels import SqlPixels
from backends.sql.schema import outbox
from backends.sql.webhooks import SqlWebhooks
from cli.main import make_app
from daemon.conversions import report_request
from daemon.shapes import ConversionBody
from daemon.worker import work
from delivery.destination import Ready, Refusal
from delivery.marks import Claim
from delivery.meta.client import MetaClient, _Heard
from delivery.meta.destination import MetaDestination
from delivery.safe_address import parse_url
from delivery.safe_http import Heard, SafeHttp
from delivery.webhook import WebhookDestination
from domain.click import Visit
from domain.clock import SystemClock
from domain.conversions import LEAD, PURCHASE, Conversion, order_event_id
from domain.errors import StoreUnavailable
from domain.pixels import SealedCredentials
from domain.webhooks import Webhook
from privacy.keyring import Keyring
from privacy.pixel_tokens import Credentials, HeldCredentials, PixelTokens
from privacy.seal import Sealer
from privacy.webhook_secrets import WebhookSecrets
from runtime.logs import get_logger
from tests.daemon_fixture import BOT, Door, Site, captured_logs
from tests.making import PATIENT
from tests.meta.server import FakeMeta
from tests.receiver import Receiver, receiving

PIXEL = "1234567890"  # of the site's link
ANA, SOON = 77_889_900, 30.0
TOKEN = "EAAleakZCOnlyZBnoRealTokenAtAll0123456789ZDZD"
APP_SECRET = "5ec2e7a0b1c2d3e4f5a6b7c8d9e0f1a2"
WEBHOOK_SECRET = "whs-singular-9f8e7d6c5b4a39281706f5e4d3c2b1a0"
IP, FBCLID = "203.0.113.77", "IwAR0SingularClickId_aem_Kk9"
AGENT = "SingularBrowser/77.1 (Linux; Owner; Maria) AppleWebKit/537.36"
FBP = "fb.1.1790000000000.1098115397"
PERSON = {
    "email": "ana.souza.secreta@padaria-da-ana.com.br",
    "phone": "(11) 91234-5678",
    "first_name": "Anameliana",
    "last_name": "Sobrenomissima",
}
RAW = ("ana.souza.secreta", "padaria-da-ana", "91234-5678", "11912345678", "nameliana", "obrenomissima")
OF_THE_VISIT = (IP, "SingularBrowser", "Owner; Maria", FBCLID, FBP)
SECRETS = (TOKEN, APP_SECRET, WEBHOOK_SECRET)
ECHO = f"bad em {PERSON['email']} ph {PERSON['phone']} token {TOKEN} ip {IP} fbc fb.1.1790000000000.{FBCLID}"
ECHO_ALL = f"{ECHO} for {AGENT}"


def proof() -> str:
    return hmac.new(APP_SECRET.encode(), TOKEN.encode(), "sha256").hexdigest()


def assert_nothing_of(what: tuple[str, ...], place: bytes | str, where: str) -> None:
    found = place if isinstance(place, bytes) else place.encode(errors="surrogatepass")
    for one in what:
        for form in {one.encode(), json.dumps(one)[1:-1].encode(), one.encode("utf-16-le")}:
            assert form not in found, f"{one!r} in {where}"


def files_under(root: Path) -> Iterator[tuple[str, bytes]]:
    return ((str(path), path.read_bytes()) for path in sorted(root.rglob("*")) if path.is_file())


@contextmanager
def chattiest() -> Iterator[Any]:
    """Logs at debug level, those of the HTTP libraries below ours too."""
    with captured_logs("debug") as page:
        below = logging.getLogger("httpcore2")
        before = below.level
        below.setLevel("DEBUG")
        try:
            yield page
        finally:
            below.setLevel(before)


@asynccontextmanager
async def prepared(home: Path, meta: FakeMeta, receiver: Receiver) -> AsyncIterator[Site]:
    site = Site(home, meta_url=meta.url, webhook_hosts=("127.0.0.1",), trusted_proxies=["127.0.0.0/8"])
    await site.prepare()
    meta.add_pixel(PIXEL, TOKEN, APP_SECRET)
    ring = Keyring(site.settings.secrets, site.clock)
    async with site.engine() as engine:
        sealed = PixelTokens(ring).seal(PIXEL, Credentials(token=TOKEN, app_secret=APP_SECRET))
        await SqlPixels(engine).put(PIXEL, sealed, at_ms=site.clock.now_ms())
        secret = WebhookSecrets(ring).seal(WEBHOOK_SECRET, "crm")
        url = f"http://127.0.0.1:{receiver.port}/hook"
        await SqlWebhooks(engine).put(
            Webhook(name="crm", url=url, secret=secret, created_at_ms=site.clock.now_ms())
        )
    yield site


async def bought(door: Door, order: str) -> str:
    """A click with everything, a start and a sale; what the API has said."""
    headers = {"User-Agent": AGENT, "X-Forwarded-For": IP, "Cookie": f"_fbp={FBP}"}
    token = await door.click(f"fbclid={FBCLID}&utm_source=fb", headers)
    said = [json.dumps(await door.start(token, ANA))]
    sale = {"bot": BOT, "event": "Purchase", "telegram_id": ANA, "order_id": order}
    sale |= {"value": "97.00", "currency": "BRL"} | PERSON
    refused = sale | {"value": -1}, sale | {PERSON["email"]: 1}, sale | {"telegram_id": PERSON["email"]}
    for body in (sale, *refused):
        answer = await door.api.post("/v1/conversions", json=body)
        said.append(answer.text + str(answer.headers))
    said.append((await door.api.get("/metrics")).text)
    return "".join(said)


async def worked(site: Site, is_done: Callable[[list[Any]], bool]) -> None:
    """`trilha work`, until it is done by the rows of the outbox."""
    stop = asyncio.Event()
    working = asyncio.create_task(work(site.settings, site.clock, stop))
    try:
        async with asyncio.timeout(SOON):
            while not is_done(await site.rows(outbox)):
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await working


def commands(site: Site) -> str:
    """What the operator's screen shows of it all, in each form."""
    given = site.settings
    env = {
        "TRILHA_HOME_DIR": str(given.home_dir),
        "TRILHA_SQL_URL": given.sql,
        "TRILHA_META_URL": given.meta_url,
        "TRILHA_WEBHOOK_HOSTS": "127.0.0.1",
        "TRILHA_PROFILE": "development",
    }
    runner, said = CliRunner(env=env), ""
    for words in (
        ("outbox", "list"), ("outbox", "list", "--json"), ("outbox", "show", "A-1"), ("outbox", "show", "A-1", "--json"),
        ("outbox", "dead-letters"), ("outbox", "dead-letters", "--json"), ("pixel", "list"), ("pixel", "list", "--json"),
        ("pixel", "status", "--quality"), ("pixel", "status", "--json"), ("pixel", "test", PIXEL, "--code", "TEST1"),
        ("webhook", "list", "--json"), ("webhook", "test", "crm", "--json"), ("doctor",), ("outbox", "retry", "--dry-run"),
    ):  # fmt: skip
        done = runner.invoke(make_app(), words)
        assert done.exit_code in {0, 1}, (words, done.output, done.exception)
        said += done.output + str(done.exception)
    return said


def ended(rows: list[Any]) -> bool:
    """Both events are over in both lanes."""
    return len([row for row in rows if row.state != "pending"]) >= 4


async def test_on_the_whole_way_everything_is_only_where_it_must_be(meta: FakeMeta, tmp_path: Path) -> None:
    """Meta takes one event and refuses the other one with a message that says back all that it was sent."""
    with chattiest() as page:
        async with receiving() as receiver, prepared(tmp_path, meta, receiver) as site:
            meta.faults.poison([str(order_event_id(1, PURCHASE, "A-1"))], says=ECHO)
            meta.faults.warn_version(ECHO_ALL)
            async with site.running() as door:
                said = await bought(door, "A-1")
                spooled = list(files_under(site.home))
                await worked(site, ended)
                said += (await door.api.get("/metrics")).text
            shown = await asyncio.to_thread(commands, site)
            [refused] = [row for row in await site.rows(outbox) if row.state == "rejected"]
            calls = receiver.calls
            stored = list(files_under(site.home))
    [event] = meta.accepted.values()
    assert event["user_data"]["client_ip_address"] == IP
    assert event["user_data"]["client_user_agent"] == AGENT
    assert FBCLID in event["user_data"]["fbc"]
    assert meta.leaks == []
    assert refused.reason.startswith("bad em […]")
    assert "bad em […]" in shown
    nowhere = (*RAW, *OF_THE_VISIT, *SECRETS, proof())
    assert_nothing_of((*nowhere, str(ANA)), page.getvalue(), "the log")
    assert_nothing_of((*nowhere, str(ANA)), shown, "what commands say")
    assert_nothing_of(nowhere, said, "answers of the API")
    for where, content in (*spooled, *stored):
        assert_nothing_of(nowhere, content, where)
    assert calls
    hashed = sha256(PERSON["email"].encode()).hexdigest()
    for call in calls:
        assert_nothing_of((*nowhere, hashed), f"{call.line}{call.headers}".encode() + call.body, "a webhook")


@pytest.mark.parametrize("code", [190, 10, 4, 1])
async def test_a_lane_that_is_held_or_waits_says_nothing_of_what_meta_said_back(
    meta: FakeMeta, tmp_path: Path, code: int
) -> None:
    """Whatever the kind of the refusal: its reason, cleaned, is in SQL, in the log and on the screen."""

    def refused(rows: list[Any]) -> bool:
        return bool(meta.calls) and any(row.lane == "webhook/crm" and row.state == "sent" for row in rows)

    with chattiest() as page:
        async with receiving() as receiver, prepared(tmp_path, meta, receiver) as site:
            meta.faults.refuse(code=code, says=ECHO_ALL)
            async with site.running() as door:
                await bought(door, "A-1")
            await worked(site, refused)
            shown = await asyncio.to_thread(commands, site)
            stored = list(files_under(site.home))
    nowhere = (*RAW, *OF_THE_VISIT, *SECRETS, proof())
    assert_nothing_of((*nowhere, str(ANA)), page.getvalue(), "the log")
    assert_nothing_of((*nowhere, str(ANA)), shown, "what commands say")
    for where, content in stored:
        assert_nothing_of(nowhere, content, where)


async def test_no_process_shows_a_secret_in_its_arguments_or_takes_one_as_an_option() -> None:
    """Options take the names of files; the worker is started with settings in its environment."""
    runner = CliRunner()
    for words in (("pixel", "add"), ("pixel", "token"), ("webhook", "add"), ("conversion",)):
        helped = runner.invoke(make_app(), [*words, "--help"], env={"COLUMNS": "200"}).output
        options = {word.strip(",") for word in helped.split() if word.startswith("--")}
        assert not options & {"--secret", "--app-secret", "--access-token", "--email", "--phone"}, words
    arguments = Path(f"/proc/{os.getpid()}/cmdline").read_bytes()
    assert_nothing_of(SECRETS, arguments, "our own arguments")


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("token", [TOKEN + "\r\nX-Evil: 1", TOKEN + "\u00e9", TOKEN + "\x00", f" {TOKEN}"])
async def test_a_token_that_cannot_stand_in_a_header_holds_the_lane_and_is_not_quoted(
    meta: FakeMeta, token: str
) -> None:
    """`trilha pixel token` takes none; SQL may have one by another hand."""
    client = MetaClient(meta.url)
    with chattiest() as page:
        answer = await client.events(PIXEL, Credentials(token=token), [b"{}"])
    await client.close()
    assert isinstance(answer, Refusal)
    assert answer.kind == "configuration"
    assert not meta.calls
    assert_nothing_of((TOKEN,), page.getvalue() + repr(answer), "the log or the answer")


async def test_a_connection_that_breaks_is_told_without_what_was_sent(meta: FakeMeta) -> None:
    client = MetaClient(meta.url)
    meta.faults.reset()
    with chattiest() as page:
        answer = await client.events(PIXEL, Credentials(token=TOKEN, app_secret=APP_SECRET), [IP.encode()])
        quality = await client.quality(PIXEL, Credentials(token=TOKEN, app_secret=APP_SECRET))
    await client.close()
    assert isinstance(answer, Refusal)
    assert_nothing_of((*SECRETS, IP, proof()), page.getvalue() + repr((answer, quality)), "log or answer")


async def test_an_error_of_sql_has_no_parameters_in_any_of_its_texts(tmp_path: Path) -> None:
    """Not even by its causes, which a traceback prints."""
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}", patience=PATIENT)
    with chattiest() as page:
        try:
            statement = text("INSERT INTO nowhere VALUES (:a, :b)")
            values = {"a": PERSON["first_name"], "b": ANA}
            await transaction(engine, lambda connection: connection.execute(statement, values))
        except StoreUnavailable as error:
            get_logger("trilha.test").exception("x")
            causes = repr(error) + str(error.__cause__) + repr(error.__cause__)
    await engine.dispose()
    assert "nowhere" in causes
    assert_nothing_of((PERSON["first_name"], str(ANA)), page.getvalue() + causes, "the log or the error")


def test_an_exception_is_logged_without_the_values_of_variables() -> None:
    held = Credentials(token="singular word", app_secret=None)
    with captured_logs() as page:
        try:
            int(held.token[:0])
        except ValueError:
            get_logger("trilha.test").exception("x")
    assert "ValueError" in page.getvalue()
    assert "singular word" not in page.getvalue()


# ---------------------------------------------------------------- reprs


async def test_no_value_that_holds_a_secret_or_a_person_says_so_when_it_is_printed(tmp_path: Path) -> None:
    clock = SystemClock()
    ring = Keyring.create(tmp_path / "ring.json", clock)
    held = Credentials(token=TOKEN, app_secret=APP_SECRET)
    sealed = SealedCredentials(token=TOKEN.encode(), app_secret=APP_SECRET.encode())
    body = ConversionBody(bot=BOT, event="Lead", token=TOKEN, **PERSON)
    event = Ready(id=uuid4(), body=IP.encode(), matched=("em",), attempts=1)
    url = f"https://hooks.example.com/{WEBHOOK_SECRET}"
    client = MetaClient("http://127.0.0.1:1")
    person = {"em": (sha256(PERSON["email"].encode()).hexdigest(),)}
    visit = dict.fromkeys(Visit.__struct_fields__, "") | {"ip": IP, "user_agent": AGENT}
    printed = [
        held,
        HeldCredentials(state="sealed", credentials=held),
        sealed,
        body,
        report_request(body),
        event,
        Claim(event, 0),
        _Heard(200, IP.encode(), {"x": TOKEN}),
        Heard(status=200, body=IP.encode()),
        Webhook(name="crm", url=url, secret=WEBHOOK_SECRET.encode(), created_at_ms=0),
        parse_url(url),
        Conversion(id=uuid4(), event=LEAD, at_ms=0, person=person),
        MetaDestination(
            pixel=PIXEL,
            credentials=held,
            client=client,
            sealer=Sealer(ring),
            external_id=ring.external_id,
            base_url="",
            honour_gpc=False,
        ),
        WebhookDestination(url=url, secret=WEBHOOK_SECRET, client=SafeHttp(), clock=clock),
        Visit(**visit),
    ]
    await client.close()
    for one in printed:
        shown = f"{one!r}{one}"
        assert_nothing_of((*RAW, *SECRETS, IP, AGENT, *person["em"]), shown, type(one).__name__)


def test_the_marks_that_the_checks_above_look_for_are_found_when_they_are_there() -> None:
    for one in (*RAW, *OF_THE_VISIT, *SECRETS):
        with pytest.raises(AssertionError):
            assert_nothing_of((one,), f"x {one} y", "a text")
