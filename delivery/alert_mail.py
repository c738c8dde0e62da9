"""Alerts by e-mail: SMTP with TLS, the standard library's client in a thread."""

import asyncio
import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit

from domain.alerts import Message
from domain.errors import ConfigError

MAIL_SECONDS = 10.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PORTS = {"smtp": 587, "smtps": 465}

# The first that fits. What the server said itself is not repeated: it may quote addresses.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (smtplib.SMTPNotSupportedError, "the mail server speaks no TLS, or takes no password"),
    (smtplib.SMTPAuthenticationError, "the mail server does not accept user and password"),
    (smtplib.SMTPRecipientsRefused, "the mail server takes nothing for these addresses"),
    (smtplib.SMTPSenderRefused, "the mail server takes nothing from this sender: name another with ?from="),
    (smtplib.SMTPServerDisconnected, "the mail server does not answer, or ended the connection"),
    (smtplib.SMTPException, "the mail server did not take it"),
    (
        ssl.SSLError,
        "no TLS connection to the mail server: its certificate is not valid for its name, or it has none",
    ),
    (OSError, "the mail server cannot be reached"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is given up. implicit: TLS from the first byte; otherwise STARTTLS, which only a server on this machine may lack."""

    host: str
    port: int
    implicit: bool
    user: str | None
    sender: str

    @classmethod
    def of(cls, url: str, *, to: str) -> "MailServer":
        """From `smtp://USER@HOST:PORT?from=ADDRESS`. Without `from`, the user is the sender if it is an address, or else `to`."""
        found = urlsplit(url)
        user = unquote(found.username) if found.username else None
        given = parse_qs(found.query).get("from", [])
        return cls(
            host=found.hostname or "",
            port=found.port or _PORTS[found.scheme],
            implicit=found.scheme == "smtps",
            user=user,
            sender=given[0] if given else user if user and "@" in user else to,
        )


class MailChannel:
    """A Channel: one mail to all addresses. password: read when it is needed; ConfigError says why it cannot be."""

    name = "email"

    def __init__(
        self,
        *,
        server: MailServer,
        to: Sequence[str],
        password: Callable[[], str],
        tls: ssl.SSLContext | None = None,
        seconds: float = MAIL_SECONDS,
    ) -> None:
        self._server, self._to, self._password = server, list(to), password
        self._tls = tls or ssl.create_default_context()
        self._seconds = seconds

    async def tell(self, message: Message) -> str | None:
        try:
            await asyncio.to_thread(self._send, self._mail(message))
        except ConfigError as error:
            return str(error)
        except (smtplib.SMTPException, OSError) as error:
            return _reason(error)
        return None

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"], mail["From"] = message.headline, self._server.sender
        mail["To"], mail["Date"] = ", ".join(self._to), formatdate(message.at_ms / 1000)
        mail["Auto-Submitted"] = "auto-generated"  # so that nobody's absence answers it (RFC 3834)
        mail.set_content(message.text)
        return mail

    def _send(self, mail: EmailMessage) -> None:
        with self._connected() as smtp:
            if self._server.user is not None:
                smtp.login(self._server.user, self._password())
            smtp.send_message(mail, self._server.sender, self._to)

    def _connected(self) -> smtplib.SMTP:
        """Encrypted, or on this machine: neither password nor alert crosses a network in clear."""
        host, port = self._server.host, self._server.port
        # Its own default for our name asks DNS, without a limit.
        ours, seconds = socket.gethostname(), self._seconds
        if self._server.implicit:
            return smtplib.SMTP_SSL(host, port, ours, timeout=seconds, context=self._tls)
        smtp = smtplib.SMTP(host, port, ours, timeout=seconds)
        try:
            smtp.ehlo()
            if host not in _LOOPBACK or smtp.has_extn("starttls"):
                smtp.starttls(context=self._tls)
        except BaseException:
            smtp.close()
            raise
        return smtp


def _reason(error: Exception) -> str:
    return next(text for kind, text in _REASONS if isinstance(error, kind))
