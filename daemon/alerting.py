"""From settings to the watch of alerts and its channels: what `trilha work` and `trilha alerts` are made with."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from analytics.alerts.local import LocalMeasures
from analytics.alerts.measures import SqlMeasures
from analytics.alerts.rules import Rule, rules_in_force
from analytics.alerts.telling import Teller
from analytics.alerts.texts import Texts
from analytics.alerts.watch import Watch
from backends.sql.alerts import SqlAlerts
from backends.sql.bot_accounts import SqlBotAccounts
from backends.sql.engine import Engine
from backends.sql.signs import SqlSigns
from delivery.alert_http import TelegramChannel, WebhookChannel
from delivery.alert_mail import MailChannel, MailServer
from delivery.safe_http import SafeHttp
from domain.alerts import Channel
from domain.clock import Clock
from domain.errors import ConfigError
from domain.observations import Observer
from privacy.bot_tokens import BotTokens, read_bot_tokens
from privacy.keyring import Keyring
from privacy.secret_file import private_text
from privacy.webhook_secrets import valid_secret
from runtime.settings import Settings

ALERTS_SECONDS = 30.0
ALERTS_PATIENCE = 5.0


def rules_of(settings: Settings) -> list[Rule]:
    """The rules in force. ConfigError."""
    return rules_in_force(off=settings.alerts_off, file=settings.alert_rules)


def texts_of(settings: Settings) -> Texts:
    """Messages in the operator's language and time zone."""
    return Texts(language=settings.alert_language, zone=ZoneInfo(settings.timezone))


def watch_of(
    settings: Settings,
    engine: Engine,
    keyring: Keyring,
    clock: Clock,
    observer: Observer,
    *,
    leads: Callable[[], bool],
) -> Watch:
    """The watch of this worker. The engine is the caller's to close. ConfigError: a rule or a channel is not as it must be."""
    return Watch(
        rules=rules_of(settings),
        node=settings.node,
        sql=SqlMeasures(settings, engine),
        local=LocalMeasures(settings, SqlSigns(engine)),
        alerts=SqlAlerts(engine),
        teller=Teller(channels_of(settings, engine, keyring, clock), clock, observer),
        texts=texts_of(settings),
        clock=clock,
        observer=observer,
        leads=leads,
    )


def channels_of(settings: Settings, engine: Engine, keyring: Keyring, clock: Clock) -> list[Channel]:
    """Every channel that is set. ConfigError: one is set by half."""
    channels: list[Channel] = []
    if settings.alert_telegram is not None:
        channels.append(_telegram(settings, settings.alert_telegram, engine, keyring))
    if settings.alert_email:
        channels.append(_mail(settings))
    if settings.alert_webhook is not None:
        channels.append(_webhook(settings, settings.alert_webhook, clock))
    return channels


def _telegram(settings: Settings, target: str, engine: Engine, keyring: Keyring) -> Channel:
    chat, _, username = target.partition("@")
    base = settings.bot_api_url
    # The operator names that host, which may be on this machine: it is allowed, and no other for it.
    http = SafeHttp(allowed=[urlsplit(base).netloc])
    return TelegramChannel(
        base_url=base, chat=int(chat), token=_token_of(settings, username, engine, keyring), http=http
    )


def _token_of(
    settings: Settings, username: str, engine: Engine, keyring: Keyring
) -> Callable[[], Awaitable[str]]:
    accounts = SqlBotAccounts(engine)

    async def token() -> str:
        held = BotTokens(keyring, read_bot_tokens(settings.bot_tokens_file))
        bots = {status.bot.username.lower(): status.bot for status in await accounts.overview()}
        if (bot := bots.get(username.lower())) is None:
            raise ConfigError(
                f"TRILHA_ALERT_TELEGRAM: no bot @{username}. See them all: trilha bot-account list"
            )
        found = held.of(bot, (await accounts.tokens()).get(bot.id)).token
        if found is None:
            raise ConfigError(
                f"TRILHA_ALERT_TELEGRAM: there is no token of @{username} here that can be read"
            )
        return found

    return token


def _mail(settings: Settings) -> Channel:
    if settings.smtp_url is None:
        raise ConfigError("TRILHA_ALERT_EMAIL needs TRILHA_SMTP_URL, such as smtp://USER@HOST:587")
    server = MailServer.of(settings.smtp_url, to=settings.alert_email[0])
    what = "the file of the mail server's password"
    return MailChannel(
        server=server,
        to=settings.alert_email,
        password=lambda: private_text(settings.smtp_password, what).strip(),
    )


def _webhook(settings: Settings, url: str, clock: Clock) -> Channel:
    what = "the file of the secret that alerts are signed with"
    secret = valid_secret(private_text(settings.alert_webhook_secret, what))
    return WebhookChannel(url=url, secret=secret, http=SafeHttp(allowed=settings.webhook_hosts), clock=clock)
