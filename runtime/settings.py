"""Settings: the only reader of the environment.

From the environment (prefix `TRILHA_`) or from the TOML file that `TRILHA_CONFIG` names; the environment wins, and a
name that nobody knows is an error. Every setting is described in docs/reference/settings.md; a test holds the two equal.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ByteSize, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from domain.errors import ConfigError

PREFIX = "TRILHA_"
# What a service manager says to the process that it starts: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).
SERVICE_VARIABLES = (
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
)
_CHAT = re.compile(r"-?[1-9][0-9]{0,18}@[A-Za-z][A-Za-z0-9_]{3,31}")
_ADDRESS = re.compile(r"[^@\s,<>\"]+@[^@\s,<>\"]+")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Bind(BaseModel):
    """Where a listener listens."""

    model_config = ConfigDict(frozen=True)
    host: str
    port: int = Field(ge=0, le=65535)

    def __str__(self) -> str:
        """As it was written: `host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Settings(BaseModel):
    """Everything that can be set. Lower-case names; `TRILHA_ACK` sets `ack`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home_dir: Path = Field(Path("var"), description="Folder of everything that has no place of its own")
    public_bind: Bind = Field(Bind(host="127.0.0.1", port=8080), description="Listener of the redirects")
    private_bind: Bind = Field(
        Bind(host="127.0.0.1", port=8081), description="Listener of the API, health and metrics; never public"
    )
    bot_bind: Bind = Field(
        Bind(host="127.0.0.1", port=8083),
        description="Listener of the bot worker: health and metrics; never public",
    )
    work_bind: Bind | None = Field(
        None,
        description="Listener of `trilha work`, such as 127.0.0.1:8084: health and metrics; never public; default: none",
    )
    dashboard_bind: Bind = Field(
        Bind(host="127.0.0.1", port=8082),
        description="Listener of the dashboard; give it to people through a proxy with TLS",
    )
    dashboard_url: str | None = Field(
        None,
        description="Address of the dashboard behind your proxy, such as https://trilha.example.com; other names are refused",
    )
    redis_url: str | None = Field(
        None,
        description="redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// URL; empty: without Redis",
    )
    sql_url: str | None = Field(
        None, description="sqlite+aiosqlite:// or postgresql+asyncpg:// URL; default: HOME_DIR/trilha.db"
    )
    move_to: str | None = Field(
        None,
        description="postgresql+asyncpg:// URL that `trilha move` moves SQLite to; nothing else reads it",
    )
    spool_dir: Path | None = Field(None, description="Folder of the disk spools; default: HOME_DIR/spool")
    spool_quota: ByteSize = Field(
        ByteSize(2 * 1024**3), description="Size at which new clicks are no longer spooled, such as 512MiB"
    )
    spool_sync: Literal["full", "normal"] = Field(
        "full", description="full: fsync before the answer (synced); normal: without (written)"
    )
    secret_file: Path | None = Field(
        None, description="The key ring, 0600; default: HOME_DIR/secrets/keyring.json"
    )
    api_key_file: Path | None = Field(
        None, description="Hashes of the API keys, 0600; default: HOME_DIR/secrets/api-keys"
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        (),
        description="Networks of your own proxies, comma-separated CIDRs: only they may name the visitor's address",
    )
    max_connections: int = Field(
        8192,
        ge=16,
        le=1_000_000,
        description="Most open connections of a listener; at that number those that ask nothing give way",
    )
    max_connections_per_address: int = Field(
        1024,
        ge=1,
        le=1_000_000,
        description="Most of them from one address (of IPv6: from one /64); trusted proxies may have more",
    )
    private_hosts: tuple[str, ...] = Field(
        (),
        description="Names by which PRIVATE_BIND may be asked, comma-separated, besides localhost and addresses",
    )
    redirects_at_once: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="Redirects that wait for their stores at once; those above it do not wait, and their clicks are kept later",
    )
    api_rate: int = Field(2000, ge=1, le=1_000_000, description="Calls of /v1 a second with one API key")
    ack: Literal["durable", "chain"] = Field(
        "durable",
        description="durable: spool and Redis at once; chain: the first that accepts, promising less",
    )
    wait_for: Literal["both", "durability", "visible", "token"] = Field(
        "both",
        description="What a redirect waits for in durable mode: both receipts, the spool's, Redis's, or nothing but the token",
    )
    deadline_ms: int = Field(
        50, ge=5, le=5000, description="Milliseconds within which a click is stored or let go"
    )
    click_ttl: int = Field(180, ge=1, le=86400, description="Seconds a click stays visible in Redis")
    attribution_days: int = Field(28, ge=1, le=400, description="Days a token may be redeemed")
    sealed_days: int = Field(
        7, ge=1, le=28, description="Whole days after its own that a day's sealed originals can be opened"
    )
    click_days: int = Field(
        396,
        ge=30,
        le=3660,
        validate_default=True,
        description="Days a click is kept under pseudonyms; then it is counted into totals and deleted",
    )
    ring_size: int = Field(50_000, ge=0, description="Clicks kept in memory while no store takes them")
    settle_batch: int = Field(
        2000,
        ge=1,
        le=5000,
        description="Most records settled in one SQL transaction; a slow database gets fewer",
    )
    node: int = Field(0, ge=0, le=65535, description="Number of this daemon, in every token and in the books")
    timezone: str = Field("America/Sao_Paulo", description="The operator's time zone, for what people read")
    telegram_host: Literal["t.me", "telegram.me", "telegram.dog"] = Field(
        "t.me", description="Host of the deep links; change it where t.me is blocked"
    )
    telegram_api_id: int | None = Field(
        None, ge=1, description="Your api_id from my.telegram.org, which `trilha bot` needs"
    )
    telegram_api_hash_file: Path | None = Field(
        None, description="File with its api_hash, 0600; default: HOME_DIR/secrets/telegram-api-hash"
    )
    bot_tokens_file: Path | None = Field(
        None,
        description="Bot tokens by file instead of SQL, 0600: a line `USERNAME TOKEN` for each bot",
    )
    telegram_server: Bind | None = Field(
        None,
        description="host:port of a Telegram server of your own, for tests and demos; default: Telegram's",
    )
    telegram_server_key: Path | None = Field(None, description="PEM file with that server's public RSA key")
    public_url: str | None = Field(
        None, description="What ad URLs begin with, such as https://go.example.com; default: PUBLIC_BIND"
    )
    meta_url: str = Field(
        "https://graph.facebook.com",
        description="Where Meta's Graph API is; another one for tests and demos only",
    )
    attribution: Literal["last", "first"] = Field(
        "last", description="Which click of a returning person a conversion belongs to: the last or the first"
    )
    honour_gpc: bool = Field(
        default=False,
        description="Report to Meta no conversion of a click whose browser asked for no sharing (Sec-GPC: 1)",
    )
    phone_country: str = Field(
        "55", pattern="^[1-9][0-9]{0,2}$", description="Country code of phone numbers that come without one"
    )
    webhook_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts of your own network that webhooks may be posted to, comma-separated host or host:port",
    )
    profile: Literal["production", "development"] = Field(
        "production", description="production refuses what is only for tests, such as Meta's test codes"
    )
    geoip_paths: tuple[Path, ...] = Field(
        (), description="GeoIP databases, comma-separated .mmdb files or folders; default: HOME_DIR/geoip"
    )
    npm_registry: str = Field(
        "https://registry.npmjs.org", description="npm registry that `trilha geoip fetch` fetches from"
    )
    access_log: bool = Field(
        default=False,
        description="Keep the access log of Marco Civil (time and address of every click, encrypted, six months)",
    )
    alerts_off: tuple[str, ...] = Field(
        (), description="Alert rules that are not judged, comma-separated (`trilha alerts rules` names them)"
    )
    alert_rules: Path | None = Field(
        None, description="TOML file with other bounds for alert rules, merged over ours"
    )
    alert_language: Literal["en", "pt"] = Field("en", description="Language of what alerts say: en or pt")
    alert_telegram: str | None = Field(
        None, description="Where Telegram is told of alerts, by a bot of yours: CHAT_ID@BOT_USERNAME"
    )
    alert_email: tuple[str, ...] = Field(
        (), description="Addresses that are told of alerts by e-mail, comma-separated"
    )
    smtp_url: str | None = Field(
        None,
        description="Mail server: smtp://USER@HOST:587 (STARTTLS) or smtps://USER@HOST:465; ?from=ADDRESS names the sender",
    )
    smtp_password_file: Path | None = Field(
        None, description="File with its password, 0600; default: HOME_DIR/secrets/smtp-password"
    )
    alert_webhook: str | None = Field(None, description="URL that alerts are posted to, signed")
    alert_webhook_secret_file: Path | None = Field(
        None,
        description="File with the secret that they are signed with, 0600; default: HOME_DIR/secrets/alert-webhook",
    )
    bot_api_url: str = Field(
        "https://api.telegram.org",
        description="Where Telegram's Bot API is, which tells of alerts; another one for a Bot API server of your own",
    )
    serve_processes: int = Field(
        0,
        ge=0,
        le=64,
        description="Processes of `trilha serve` below a parent that replaces them one by one at SIGHUP; 0: one process, no parent",
    )
    serve_peers: Path | None = Field(
        None, description="Set by that parent for its processes: the folder where they find each other"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged")

    @field_validator(
        "public_bind",
        "private_bind",
        "dashboard_bind",
        "bot_bind",
        "work_bind",
        "telegram_server",
        mode="before",
    )
    @classmethod
    def _bind(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        host, colon, port = value.rpartition(":")
        if not colon or not port.isdigit():
            raise ValueError("write it as host:port")
        return {"host": host.strip("[]"), "port": int(port)}

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, list):
            # Strict: 10.0.0.1/8 has host bits set and is more likely a slip than an intention.
            return tuple(ip_network(item, strict=True) if isinstance(item, str) else item for item in value)
        return value

    @field_validator(
        "geoip_paths", "webhook_hosts", "private_hosts", "alerts_off", "alert_email", mode="before"
    )
    @classmethod
    def _paths(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("npm_registry")
    @classmethod
    def _registry(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("write it as https://host")
        return value.rstrip("/")

    @field_validator("dashboard_url")
    @classmethod
    def _dashboard(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith(("https://", "http://")) or not urlsplit(value).hostname:
            raise ValueError("write it as https://host")
        return value.rstrip("/")

    @field_validator("meta_url", "bot_api_url")
    @classmethod
    def _meta(cls, value: str) -> str:
        # Tokens go there: in clear to this machine only.
        host = urlsplit(value).hostname
        if not value.startswith("https://") and not (value.startswith("http://") and host in _LOOPBACK):
            raise ValueError("write it as https://host")
        return value.rstrip("/")

    @field_validator("alert_telegram")
    @classmethod
    def _chat(cls, value: str | None) -> str | None:
        if value is not None and not _CHAT.fullmatch(value):
            raise ValueError("write it as CHAT_ID@BOT_USERNAME, such as -1001234567890@shop_bot")
        return value

    @field_validator("alert_email")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ADDRESS.fullmatch(address) for address in value):
            raise ValueError("write addresses with commas between them")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: str | None) -> str | None:
        if value is not None and not _is_mail_server(value):
            raise ValueError("write it as smtp://USER@HOST:587 or smtps://USER@HOST:465")
        if value is not None and urlsplit(value).password is not None:
            raise ValueError("leave the password out: it belongs in TRILHA_SMTP_PASSWORD_FILE")
        return value

    @field_validator("click_days")
    @classmethod
    def _outlives_its_token(cls, value: int, given: ValidationInfo) -> int:
        # A click that is gone while its token lives could be won a second time (I5).
        if value <= given.data.get("attribution_days", 0):
            raise ValueError("must be more than TRILHA_ATTRIBUTION_DAYS")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not a time zone, such as America/Sao_Paulo") from None
        return value

    @field_validator(
        "work_bind",
        "serve_peers",
        "redis_url",
        "sql_url",
        "move_to",
        "public_url",
        "dashboard_url",
        "spool_dir",
        "secret_file",
        "api_key_file",
        "telegram_api_id",
        "telegram_api_hash_file",
        "bot_tokens_file",
        "telegram_server",
        "telegram_server_key",
        "alert_rules",
        "alert_telegram",
        "smtp_url",
        "smtp_password_file",
        "alert_webhook",
        "alert_webhook_secret_file",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def sql(self) -> str:
        """The SQL URL in force."""
        return self.sql_url or f"sqlite+aiosqlite:///{(self.home_dir / 'trilha.db').absolute()}"

    @property
    def spools(self) -> Path:
        """The folder of the spools in force."""
        return self.spool_dir or self.home_dir / "spool"

    @property
    def secrets(self) -> Path:
        """The key ring in force."""
        return self.secret_file or self.home_dir / "secrets" / "keyring.json"

    @property
    def api_keys(self) -> Path:
        """The API key file in force."""
        return self.api_key_file or self.home_dir / "secrets" / "api-keys"

    @property
    def api_hash(self) -> Path:
        """The file of Telegram's api_hash in force."""
        return self.telegram_api_hash_file or self.home_dir / "secrets" / "telegram-api-hash"

    @property
    def smtp_password(self) -> Path:
        """The file of the mail server's password in force."""
        return self.smtp_password_file or self.home_dir / "secrets" / "smtp-password"

    @property
    def alert_webhook_secret(self) -> Path:
        """The file of the secret in force that alerts are signed with."""
        return self.alert_webhook_secret_file or self.home_dir / "secrets" / "alert-webhook"

    @property
    def bot_sessions(self) -> Path:
        """Where the bot worker keeps its sessions with Telegram: as good as the bots' tokens."""
        return self.home_dir / "bots"

    @property
    def geoip_folder(self) -> Path:
        """Where fetched GeoIP databases are put."""
        return self.home_dir / "geoip"

    @property
    def geoip(self) -> list[Path]:
        """The GeoIP databases in force: files, and folders whose .mmdb files count. They need not exist yet."""
        return list(self.geoip_paths) or [self.geoip_folder]

    @property
    def catalog_file(self) -> Path:
        """The copy of links and bots that a daemon starts from when SQL is down."""
        return self.home_dir / "cache" / "catalog.json"

    @property
    def access_log_dir(self) -> Path:
        """The access log, if it is kept."""
        return self.home_dir / "access-log"

    @property
    def access_log_keys(self) -> Path:
        """The keys of the access log, apart from the key ring."""
        return self.home_dir / "secrets" / "access-log.json"

    @property
    def base_url(self) -> str:
        """What ad URLs begin with."""
        return (self.public_url or f"http://{self.public_bind}").rstrip("/")


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force, or ConfigError that names each mistake without showing its value."""
    env = os.environ if environ is None else environ
    given = {
        name.removeprefix(PREFIX).lower(): value for name, value in env.items() if name.startswith(PREFIX)
    }
    values = _from_file(given.pop("config", "")) | given
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError("\n".join(_mistake(item) for item in error.errors(include_input=False))) from None


def child_environment(**changes: str) -> dict[str, str]:
    """The environment of a process that we start: ours, with some settings changed.

    What our service manager said was for us: a child that believed it would take our sockets for its own.
    """
    ours = {name: value for name, value in os.environ.items() if name not in SERVICE_VARIABLES}
    return ours | {PREFIX + name.upper(): value for name, value in changes.items()}


def service_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a service manager said in the environment, as it said it: SERVICE_VARIABLES that are set and not empty."""
    env = os.environ if environ is None else environ
    return {name: env[name] for name in SERVICE_VARIABLES if env.get(name)}


def program_path(variable: str) -> str | None:
    """A program that the environment names, such as VALKEY_BIN."""
    return os.environ.get(variable) or None


def _is_mail_server(url: str) -> bool:
    try:
        found = urlsplit(url)
        return found.scheme in {"smtp", "smtps"} and bool(found.hostname) and found.port != 0
    except ValueError:
        return False


def _from_file(path: str) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return {name.lower(): value for name, value in tomllib.loads(Path(path).read_text()).items()}
    except (OSError, ValueError) as error:
        raise ConfigError(f"TRILHA_CONFIG: {path} cannot be read: {error}") from None


def _mistake(error: Any) -> str:
    name = PREFIX + str(error["loc"][0]).upper()
    if error["type"] == "extra_forbidden":
        return f"{name} is not a setting. See docs/reference/settings.md"
    return f"{name}: {error['msg']}"
