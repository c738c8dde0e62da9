"""trilha webhook: systems of the operator's own that conversions are posted to. No secret is ever an argument."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer

from backends.sql.webhooks import SqlWebhooks
from cli.common import (
    CLOCK,
    EXIT_FAILED,
    Json,
    local_time,
    read_secret,
    run,
    settings,
    show,
    show_table,
    sql_of,
)
from delivery.destination import Accepted
from delivery.safe_http import Heard, SafeHttp, Unheard
from delivery.webhook import WebhookDestination
from domain.clock import iso
from domain.errors import ConfigError
from domain.ids import random_text
from domain.webhooks import Webhook, valid_webhook_name
from privacy.keyring import Keyring
from privacy.redact import printable
from privacy.webhook_secrets import WebhookSecrets, valid_secret
from runtime.settings import Settings

EXCERPT = 200
webhooks = typer.Typer(help="Your own systems that conversions are posted to, signed.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The webhook's name: a-z, 0-9 and -.")]


@webhooks.command("add")
def add(
    name: Name,
    url: Annotated[str, typer.Option("--url", help="Where to post to: https://host/path.")],
    secret_file: Annotated[
        str | None,
        typer.Option(
            "--secret-file",
            help="File with the secret to sign with, 0600; '-' reads it from standard input. Default: one is made.",
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Give one that is there this URL. Its secret stays, without --secret-file."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Post conversions to a URL from now on. Prints the secret that was made, once."""
    valid_webhook_name(name)
    given = settings()
    secret = None if secret_file is None else valid_secret(read_secret(secret_file, "secret to sign with"))
    secrets = _secrets(given)

    async def put() -> tuple[Webhook, str | None]:
        await _client(given).check(url)
        async with _webhooks_of(given) as stored:
            there = await _there(stored, name, replace=replace)
            webhook, made = _new(name, url, secret, there, secrets)
            await stored.put(webhook)
            return webhook, made

    webhook, made = run(put())
    shown = f"{made}\n\nThis secret is not shown again: give it to the receiver.\n" if made else ""
    text = f"{shown}conversions go to the webhook {name} from now on. Try it: trilha webhook test {name}"
    show(_json(webhook) | {"secret": made}, as_json=as_json, text=text)


@webhooks.command("list")
def list_webhooks(as_json: Json = False) -> None:
    """All webhooks. How their lanes are, `trilha outbox list` says."""
    given = settings()

    async def load() -> list[Webhook]:
        async with _webhooks_of(given) as stored:
            return await stored.list()

    found = run(load())
    if as_json:
        show([_json(webhook) for webhook in found], as_json=True, text="")
        return
    show_table(
        ["webhook", "URL", "since"],
        [[item.name, item.url, local_time(item.created_at_ms, given)] for item in found],
        empty="no webhooks yet. Add one: trilha webhook add NAME --url URL",
    )


@webhooks.command("test")
def ping(name: Name, as_json: Json = False) -> None:
    """Send a signed call without events now, and say what comes back. Exit code 1 unless it is a 2xx."""
    given = settings()

    async def work() -> dict[str, Any]:
        async with _webhooks_of(given) as stored:
            return await _pinged(await _found(stored, name), given)

    found = run(work())
    show(found, as_json=as_json, text=_ping_text(found))
    if not found["accepted"]:
        raise typer.Exit(EXIT_FAILED)


@webhooks.command("remove")
def remove(name: Name, as_json: Json = False) -> None:
    """Post nothing more to a webhook. What waits for it ends as skipped."""
    given = settings()

    async def forget() -> int:
        async with _webhooks_of(given) as stored:
            return await stored.remove(name)

    ended = run(forget())
    text = f"the webhook {name} is removed; {ended} conversions waited for it and are skipped"
    show({"name": name, "skipped": ended}, as_json=as_json, text=text)


@asynccontextmanager
async def _webhooks_of(given: Settings) -> AsyncIterator[SqlWebhooks]:
    async with sql_of(given) as engine:
        yield SqlWebhooks(engine)


async def _there(stored: SqlWebhooks, name: str, *, replace: bool) -> Webhook | None:
    """The one that is to be replaced."""
    there = await stored.find(name)
    if there is not None and not replace:
        raise ConfigError(f"there is a webhook {name!r}. To give it another URL or secret, add --replace")
    return there


def _new(
    name: str, url: str, secret: str | None, there: Webhook | None, secrets: WebhookSecrets
) -> tuple[Webhook, str | None]:
    """The webhook, and the secret that was made for it, if one was."""
    if there is not None and secret is None:
        return Webhook(name=name, url=url, secret=there.secret, created_at_ms=there.created_at_ms), None
    sealed = secrets.seal(made := secret or random_text(), name)
    at_ms = CLOCK.now_ms() if there is None else there.created_at_ms
    webhook = Webhook(name=name, url=url, secret=sealed, created_at_ms=at_ms)
    return webhook, made if secret is None else None


async def _found(stored: SqlWebhooks, name: str) -> Webhook:
    if (webhook := await stored.find(name)) is None:
        raise ConfigError(f"no webhook {name!r}. See them all: trilha webhook list")
    return webhook


async def _pinged(webhook: Webhook, given: Settings) -> dict[str, Any]:
    secret = _secrets(given).of(webhook)
    if secret is None:
        raise ConfigError(
            f"the secret of the webhook {webhook.name} does not open with the key ring that is here"
        )
    destination = WebhookDestination(url=webhook.url, secret=secret, client=_client(given), clock=CLOCK)
    began = CLOCK.monotonic()
    heard = await destination.ping()
    took_ms = round((CLOCK.monotonic() - began) * 1000)
    answer = destination.answer(heard)
    return {
        "name": webhook.name,
        "accepted": isinstance(answer, Accepted),
        "status": heard.status if isinstance(heard, Heard) else None,
        "reason": None if isinstance(answer, Accepted) else answer.reason,
        "took_ms": took_ms,
        "body": _excerpt(heard),
    }


def _ping_text(found: dict[str, Any]) -> str:
    head = f"the webhook {found['name']}"
    if found["accepted"]:
        return f"{head} answered {found['status']} in {found['took_ms']} ms"
    body = f"\nIt says: {found['body']}" if found["body"] else ""
    return f"{head} did not take the call, after {found['took_ms']} ms: {found['reason']}{body}"


def _excerpt(heard: Heard | Unheard) -> str:
    """The beginning of an answer, as a terminal may have it: escapes and line ends of a stranger are not obeyed."""
    text = heard.body[: 4 * EXCERPT].decode(errors="replace") if isinstance(heard, Heard) else ""
    return printable(text[:EXCERPT]).strip()


def _secrets(given: Settings) -> WebhookSecrets:
    return WebhookSecrets(Keyring(given.secrets, CLOCK))


def _client(given: Settings) -> SafeHttp:
    return SafeHttp(allowed=given.webhook_hosts)


def _json(webhook: Webhook) -> dict[str, Any]:
    return {"name": webhook.name, "url": webhook.url, "created_at": iso(webhook.created_at_ms)}
