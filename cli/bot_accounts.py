"""trilha bot-account: the bots, their tokens and webhooks. No token is ever an argument: those are seen by everybody."""

import sys
from typing import Annotated

import typer

from cli.bot_facts import BotFacts, Registry, Username, all_facts, facts_json, facts_of, registry_of
from cli.bot_webhook import webhook
from cli.common import CLOCK, Json, local_time, read_secret, run, settings, show, show_table
from domain.errors import ConfigError
from domain.links import Bot, valid_username
from privacy.bot_tokens import BotTokens, telegram_id_of, valid_token
from privacy.keyring import Keyring
from runtime.settings import Settings

bots = typer.Typer(help="The Telegram bots that links lead to.", no_args_is_help=True)
TokenFile = Annotated[
    str | None,
    typer.Option(
        "--token-file", help="File with the token from BotFather, 0600; '-' reads it from standard input."
    ),
]


@bots.command("add")
def add_bot(username: Username, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Register a bot, with the token that `trilha bot` needs to be it."""
    valid_username(username)
    given = settings()
    token = None if token_file is None else _read_token(token_file)
    tokens = None if token is None else _tokens(given)

    async def add() -> BotFacts:
        async with registry_of(given) as registry:
            if token is None or tokens is None:
                await registry.catalog.add_bot(username)
            else:
                await _refuse_a_second_name(registry, username, token)
                await _put_token(registry, await registry.catalog.add_bot(username), tokens, token)
            return await facts_of(registry, given, username)

    _show(run(add()), given, as_json=as_json, done="is registered")


@bots.command("token")
def put_token(
    username: Username,
    token_file: TokenFile = None,
    forget: Annotated[bool, typer.Option("--forget", help="Take the token out of SQL.")] = False,
    as_json: Json = False,
) -> None:
    """Give a bot another token, or forget the one it has. Workers follow by themselves."""
    if forget is (token_file is not None):
        raise ConfigError("give either --token-file FILE (or --token-file -) or --forget")
    given = settings()
    token = None if token_file is None else _read_token(token_file)
    tokens = None if token is None else _tokens(given)

    async def put() -> BotFacts:
        async with registry_of(given) as registry:
            bot = (await facts_of(registry, given, username)).bot
            if token is None or tokens is None:
                await registry.accounts.put_token(bot.id, None, None)
            else:
                await _refuse_a_second_name(registry, bot.username, token)
                await _put_token(registry, bot, tokens, token)
            return await facts_of(registry, given, username)

    found = run(put())
    _show(found, given, as_json=as_json, done="has no token in SQL" if token is None else "has a new token")
    if found.in_file:
        _hint(f"the line of @{found.bot.username} in TRILHA_BOT_TOKENS_FILE goes before what is in SQL")


@bots.command("list")
def list_bots(as_json: Json = False) -> None:
    """All registered bots: how they are, what they have heard last, and who is them."""
    given = settings()

    async def load() -> list[BotFacts]:
        async with registry_of(given) as registry:
            return await all_facts(registry, given)

    found = run(load())
    if as_json:
        show([facts_json(item) for item in found], as_json=True, text="")
        return
    show_table(
        ["bot", "health", "last heard", "worker", "links", "token"],
        [_row(item, given) for item in found],
        empty="no bots yet. Register one: trilha bot-account add USERNAME",
    )


@bots.command("show")
def show_bot(username: Username, as_json: Json = False) -> None:
    """All that is known of one bot."""
    given = settings()

    async def find() -> BotFacts:
        async with registry_of(given) as registry:
            return await facts_of(registry, given, username)

    _show(run(find()), given, as_json=as_json)


@bots.command("renamed")
def renamed(
    username: Username,
    new: Annotated[str, typer.Argument(help="The username that it has at Telegram now.")],
    as_json: Json = False,
) -> None:
    """Follow a change of username at Telegram. All else stays: links, token, people."""
    given = settings()

    async def rename() -> BotFacts:
        async with registry_of(given) as registry:
            before = await facts_of(registry, given, username)
            await registry.accounts.rename(before.bot.id, new)
            after = await facts_of(registry, given, new)
            if before.in_file and not after.in_file:
                _hint("its line in TRILHA_BOT_TOKENS_FILE still has the old username")
            return after

    found = run(rename())
    _show(
        found, given, as_json=as_json, done="is its name from now on; running daemons follow within seconds"
    )
    if found.bot.webhook_key:
        _hint(
            f"its webhook has the new username in its path: trilha bot-account webhook {found.bot.username}"
        )


@bots.command("recheck")
def recheck(username: Username, as_json: Json = False) -> None:
    """Have a bot looked at again: its health is unknown until its worker has, and visitors are sent to it."""
    given = settings()

    async def forget() -> BotFacts:
        async with registry_of(given) as registry:
            bot = (await facts_of(registry, given, username)).bot
            await registry.accounts.put_health(bot.id, "unknown", at_ms=CLOCK.now_ms())
            return await facts_of(registry, given, username)

    _show(run(forget()), given, as_json=as_json, done="is to be looked at again")


bots.command("webhook")(webhook)


def _read_token(source: str) -> str:
    return valid_token(read_secret(source, "token from BotFather"))


def _tokens(given: Settings) -> BotTokens:
    return BotTokens(Keyring(given.secrets, CLOCK))


async def _put_token(registry: Registry, bot: Bot, tokens: BotTokens, token: str) -> None:
    await registry.accounts.put_token(bot.id, tokens.seal(token, bot.id), telegram_id_of(token))
    if not bot.fit:
        await registry.accounts.put_health(bot.id, "unknown", at_ms=CLOCK.now_ms())


async def _refuse_a_second_name(registry: Registry, username: str, token: str) -> None:
    """One Telegram bot under two names would be two workers that take each other's updates."""
    name = username.removeprefix("@").lower()
    for status in await registry.accounts.overview():
        if status.telegram_id == telegram_id_of(token) and status.bot.username.lower() != name:
            other = status.bot.username
            raise ConfigError(
                f"this is the token of @{other}. If its username has changed: trilha bot-account renamed {other} {name}"
            )


def _row(found: BotFacts, given: Settings) -> list[str]:
    status = found.status
    return [
        "@" + found.bot.username,
        found.bot.health,
        local_time(status.heard_at_ms, given),
        (status.worker or "-") if status.served(CLOCK.now_ms()) else "-",
        str(len(found.links)),
        found.token,
    ]


def _show(found: BotFacts, given: Settings, *, as_json: bool, done: str = "") -> None:
    status = found.status
    since = f" since {local_time(status.health_at_ms, given)}" if status.health_at_ms else ""
    lines = {
        "health": found.bot.health + since,
        "telegram id": str(status.telegram_id or "-"),
        "token": found.token,
        "webhook": "on" if found.bot.webhook_key else "off",
        "worker": _worker(found, given),
        "last heard": local_time(status.heard_at_ms, given),
        "last checked": local_time(status.checked_at_ms, given),
        "links": ", ".join(link.slug for link in found.links) or "-",
    }
    head = f"bot @{found.bot.username} {done}".rstrip()
    text = "\n".join([head, *(f"  {name:<13} {value}" for name, value in lines.items())])
    show(facts_json(found), as_json=as_json, text=text)


def _worker(found: BotFacts, given: Settings) -> str:
    status = found.status
    if status.worker is None:
        return "-"
    word = "until" if status.served(CLOCK.now_ms()) else "gone since"
    return f"{status.worker}, {word} {local_time(status.worker_until_ms, given)}"


def _hint(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
