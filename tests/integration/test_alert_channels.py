"""Channels of alerts, against real servers on loopback: mail, a webhook that checks signatures, Telegram's Bot API."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from delivery.alert_http import TelegramChannel, WebhookChannel
from delivery.alert_mail import MailChannel, MailServer
from delivery.safe_http import SafeHttp
from domain.alerts import Message
from domain.clock import ManualClock
from domain.errors import ConfigError, StoreUnavailable
from tests.making import NOW
from tests.receiver import LOOPBACK, Authority, Receiver, receiving

SECRET = "0123456789abcdef0123456789abcdef"
PASSWORD = "correct horse battery"
TOKEN = "7012345678:AAF4f_k3-Zp9QwErTyUiOpAsDfGhJkLzXcV"
MESSAGE = Message(
    kind="firing",
    rule="lane_held",
    subject="meta/123",
    severity="page",
    headline="Trilha: URGENTE. Um destino está retido (meta/123)",
    text="Trilha: URGENTE. Um destino está retido (meta/123)\nVeja `trilha doctor`.",
    since_ms=NOW,
    at_ms=NOW + 1000,
)


# ---------------------------------------------------------------- mail


@dataclass
class Mailbox:
    """A mail server: what it was told, and the mails that it took."""

    tls: ssl.SSLContext | None = None
    offers_tls: bool = True
    password: str | None = None
    refuses: str | None = None
    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    commands: list[tuple[str, bool]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: C901
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        def encrypted() -> bool:
            return writer.get_extra_info("ssl_object") is not None

        say("220 mail.test")
        try:
            while line := (await reader.readline()).decode().strip():
                verb = line.split(" ")[0].split(":")[0].upper()
                self.commands.append((line, encrypted()))
                match verb:
                    case "EHLO":
                        offers = ["STARTTLS"] if self.tls and self.offers_tls and not encrypted() else []
                        offers += ["AUTH PLAIN"] if self.password else []
                        for offer in ["mail.test", *offers]:
                            say(f"250-{offer}")
                        say("250 8BITMIME")
                    case "STARTTLS":
                        say("220 go on")
                        await writer.drain()
                        await writer.start_tls(self.tls)  # type: ignore[arg-type]
                    case "AUTH":
                        given = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                        say("235 welcome" if given[2] == self.password else "535 no")
                    case "RCPT" if self.refuses:
                        say(f"550 {self.refuses}")
                    case "DATA":
                        say("354 go on")
                        await writer.drain()
                        self.mails.append((await reader.readuntil(b"\r\n.\r\n"))[:-3])
                        say("250 taken")
                    case "QUIT":
                        say("221 bye")
                        break
                    case _:
                        say("250 ok")
                await writer.drain()
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        writer.close()

    @property
    def mail(self) -> object:
        (raw,) = self.mails
        return message_from_bytes(raw, policy=default)


@asynccontextmanager
async def post_office(box: Mailbox, *, implicit: bool = False) -> AsyncIterator[Mailbox]:
    server = await asyncio.start_server(box.serve, LOOPBACK, 0, ssl=box.tls if implicit else None)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()


def channel(
    url: str, *, tls: ssl.SSLContext | None = None, seconds: float = 10, to: str = "ops@example.com"
) -> MailChannel:
    return MailChannel(
        server=MailServer.of(url, to=to),
        to=[to, "two@example.com"],
        password=lambda: PASSWORD,
        tls=tls,
        seconds=seconds,
    )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path)


async def test_a_mail_arrives_in_clear_text_where_the_server_is_this_machine() -> None:
    async with post_office(Mailbox()) as box:
        assert await channel(f"smtp://{LOOPBACK}:{box.port}?from=trilha@example.com").tell(MESSAGE) is None
    mail = box.mail
    assert mail["Subject"] == MESSAGE.headline  # type: ignore[index]
    assert mail["From"] == "trilha@example.com"  # type: ignore[index]
    assert mail["To"] == "ops@example.com, two@example.com"  # type: ignore[index]
    assert mail["Auto-Submitted"] == "auto-generated"  # type: ignore[index]
    assert mail.get_content().splitlines() == MESSAGE.text.splitlines()  # type: ignore[attr-defined]
    assert [line for line, _ in box.commands if line.startswith("rcpt")] == [
        "rcpt TO:<ops@example.com>",
        "rcpt TO:<two@example.com>",
    ]


async def test_with_starttls_the_password_and_the_mail_come_encrypted(authority: Authority) -> None:
    box = Mailbox(tls=authority.server(LOOPBACK), password=PASSWORD)
    async with post_office(box):
        url = f"smtp://ops%40example.com@{LOOPBACK}:{box.port}"
        assert await channel(url, tls=authority.trusted()).tell(MESSAGE) is None
    assert box.mail["From"] == "ops@example.com"  # type: ignore[index]
    assert all(
        encrypted
        for line, encrypted in box.commands
        if line.split(" ")[0] in {"AUTH", "DATA", "data", "mail"}
    )
    assert ("AUTH", True) in {(line.split(" ")[0], encrypted) for line, encrypted in box.commands}


async def test_smtps_is_encrypted_from_the_first_byte(authority: Authority) -> None:
    box = Mailbox(tls=authority.server(LOOPBACK), password=PASSWORD)
    async with post_office(box, implicit=True):
        url = f"smtps://ops@{LOOPBACK}:{box.port}"
        assert await channel(url, tls=authority.trusted()).tell(MESSAGE) is None
    assert all(encrypted for _, encrypted in box.commands)


async def test_a_certificate_that_nobody_vouches_for_ends_it_before_anything_is_said(
    authority: Authority,
) -> None:
    box = Mailbox(tls=authority.server(LOOPBACK), password=PASSWORD)
    async with post_office(box):
        reason = await channel(f"smtp://ops@{LOOPBACK}:{box.port}").tell(MESSAGE)
    assert reason is not None
    assert "certificate" in reason
    assert not box.mails
    assert "AUTH" not in {line.split(" ")[0] for line, _ in box.commands}


async def test_a_server_elsewhere_without_tls_gets_neither_password_nor_mail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that is not loopback's, although it leads here."""
    box = Mailbox(password=PASSWORD)
    monkeypatch.setattr("delivery.alert_mail._LOOPBACK", ())
    async with post_office(box):
        reason = await channel(f"smtp://ops@{LOOPBACK}:{box.port}").tell(MESSAGE)
    assert reason == "the mail server speaks no TLS, or takes no password"
    assert [line.split(" ")[0].upper() for line, _ in box.commands] == ["EHLO"]


async def test_a_wrong_password_is_said_without_showing_it() -> None:
    async with post_office(Mailbox(password="another")) as box:
        reason = await channel(f"smtp://ops@{LOOPBACK}:{box.port}").tell(MESSAGE)
    assert reason == "the mail server does not accept user and password"


async def test_what_a_server_says_of_an_address_is_not_repeated() -> None:
    async with post_office(Mailbox(refuses="ops@example.com is unknown")) as box:
        reason = await channel(f"smtp://{LOOPBACK}:{box.port}").tell(MESSAGE)
    assert reason == "the mail server takes nothing for these addresses"


async def test_a_server_that_is_not_there_or_says_nothing_is_a_reason() -> None:
    silent = Receiver()
    silent.behave = silent.hang
    async with receiving(silent) as there:
        assert (
            await channel(f"smtp://{LOOPBACK}:{there.port}", seconds=0.05).tell(MESSAGE)
            == "the mail server does not answer, or ended the connection"
        )
    assert (
        await channel(f"smtp://{LOOPBACK}:{there.port}").tell(MESSAGE) == "the mail server cannot be reached"
    )


async def test_a_password_that_cannot_be_read_is_a_reason() -> None:
    def nothing() -> str:
        raise ConfigError("the file cannot be read")

    async with post_office(Mailbox(password=PASSWORD)) as box:
        server = MailServer.of(f"smtp://ops@{LOOPBACK}:{box.port}", to="ops@example.com")
        made = MailChannel(server=server, to=["ops@example.com"], password=nothing)
        assert await made.tell(MESSAGE) == "the file cannot be read"


# ---------------------------------------------------------------- webhook and Telegram


def http(receiver: Receiver) -> SafeHttp:
    return SafeHttp(allowed=[f"{LOOPBACK}:{receiver.port}"], seconds=10)


async def test_a_webhook_gets_a_call_whose_signature_holds() -> None:
    async with receiving() as there:
        url = f"http://{LOOPBACK}:{there.port}/alerts"
        made = WebhookChannel(url=url, secret=SECRET, http=http(there), clock=ManualClock(now_ms=NOW))
        assert await made.tell(MESSAGE) is None
    call = there.call
    stamp, _, digest = call.header("Trilha-Signature").partition(",v1=")
    signed = stamp.removeprefix("t=").encode() + b"." + call.body
    assert stamp == f"t={NOW // 1000}"
    assert hmac.compare_digest(digest, hmac.digest(SECRET.encode(), signed, "sha256").hex())
    (alert,) = json.loads(call.body)["alerts"]
    assert alert == {
        "state": "firing",
        "rule": "lane_held",
        "subject": "meta/123",
        "severity": "page",
        "headline": MESSAGE.headline,
        "text": MESSAGE.text,
        "since": "2027-01-15T08:00:00.000Z",
        "at": "2027-01-15T08:00:01.000Z",
    }


async def test_a_webhook_on_an_address_of_this_network_is_refused_unless_it_is_allowed() -> None:
    async with receiving() as there:
        url = f"https://{LOOPBACK}:{there.port}/alerts"
        made = WebhookChannel(url=url, secret=SECRET, http=SafeHttp(), clock=ManualClock())
        reason = await made.tell(MESSAGE)
    assert reason is not None
    assert "TRILHA_WEBHOOK_HOSTS" in reason
    assert there.connections == 0


async def test_a_webhook_that_answers_500_is_a_reason() -> None:
    async with receiving(Receiver(answer=b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")) as there:
        url = f"http://{LOOPBACK}:{there.port}/"
        made = WebhookChannel(url=url, secret=SECRET, http=http(there), clock=ManualClock())
        assert await made.tell(MESSAGE) == "the webhook answered 500"


def bot_api(there: Receiver, *tokens: str | StoreUnavailable) -> TelegramChannel:
    given = iter(tokens)

    async def token() -> str:
        found = next(given)
        if isinstance(found, str):
            return found
        raise found

    url = f"http://{LOOPBACK}:{there.port}"
    return TelegramChannel(base_url=url, chat=-1001234567890, token=token, http=http(there))


OK = b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"ok":true}'


async def test_telegram_is_asked_to_send_the_text_to_the_chat() -> None:
    async with receiving(Receiver(answer=OK)) as there:
        assert await bot_api(there, TOKEN).tell(MESSAGE) is None
    assert there.call.line == f"POST /bot{TOKEN}/sendMessage HTTP/1.1"
    said = json.loads(there.call.body)
    assert (said["chat_id"], said["text"]) == (-1001234567890, MESSAGE.text)


async def test_while_sql_is_down_the_token_of_before_is_used() -> None:
    async with receiving(Receiver(answer=OK)) as there:
        made = bot_api(there, TOKEN, StoreUnavailable("SQL is down"))
        assert await made.tell(MESSAGE) is None
        assert await made.tell(MESSAGE) is None
    assert [call.line for call in there.calls] == [f"POST /bot{TOKEN}/sendMessage HTTP/1.1"] * 2


async def test_without_any_token_the_reason_is_said_and_nobody_is_called() -> None:
    async with receiving(Receiver(answer=OK)) as there:
        assert await bot_api(there, StoreUnavailable("SQL is down")).tell(MESSAGE) == "SQL is down"
    assert there.connections == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
async def test_what_telegram_refuses_is_a_reason_without_the_token(status: int) -> None:
    answer = b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % status
    async with receiving(Receiver(answer=answer)) as there:
        reason = await bot_api(there, TOKEN).tell(MESSAGE)
    assert reason
    assert TOKEN not in reason


async def test_a_telegram_that_cannot_be_reached_is_a_reason_without_the_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with receiving() as there:
        pass
    reason = await bot_api(there, TOKEN).tell(MESSAGE)
    assert reason
    assert TOKEN not in reason + caplog.text
