"""What `trilha doctor` says of bots: who cannot be reached, who is nobody's, and how to mend each."""

from collections.abc import Iterable, Iterator, Mapping

from analytics.finding import Finding, Verdict
from cli.bot_facts import BotFacts, all_facts, registry_of
from cli.common import CLOCK
from domain.errors import ConfigError
from privacy.bot_tokens import BotTokens, read_api_hash
from privacy.keyring import Keyring
from runtime.settings import Settings

QUIET_MS = 10 * 60_000
Trouble = tuple[Verdict, str]


async def bots(given: Settings) -> Finding:
    """Everything about bots in one finding; the worst of it is the verdict."""
    async with registry_of(given) as registry:
        facts = await all_facts(registry, given)
        sealed = await registry.accounts.tokens()
    found = [
        *of_links(facts),
        *of_health(facts),
        *(of_tokens(facts, sealed, Keyring(given.secrets, CLOCK)) if sealed else ()),
        *of_workers(facts, CLOCK.now_ms()),
        *of_settings(facts, given),
    ]
    if not found:
        return Finding("bots", "ok", _in_order(facts))
    failed = any(verdict == "failed" for verdict, _ in found)
    return Finding("bots", "failed" if failed else "warning", "; ".join(text for _, text in found))


def of_links(facts: Iterable[BotFacts]) -> Iterator[Trouble]:
    """Links that lead to nobody, although they have bots."""
    for slug, link in sorted({link.slug: link for found in facts for link in found.links}.items()):
        if link.live and not any(member.bot.fit for member in link.pool):
            yield "failed", f"no bot of the link {slug} can be reached"


def of_health(facts: Iterable[BotFacts]) -> Iterator[Trouble]:
    """Bots that no person reaches by their link. A banned one that is in no pool any more is nobody's trouble."""
    for found in facts:
        name, slugs = found.bot.username, ", ".join(link.slug for link in found.links)
        if found.bot.health == "banned" and slugs:
            yield (
                "warning",
                f"@{name} is banned: take it out of {slugs} with: trilha link pool-remove SLUG --bot {name}",
            )
        if found.bot.health == "revoked":
            yield (
                "warning",
                f"the token of @{name} is revoked: get a new one from BotFather, then {_renewal(found)}",
            )
        if found.bot.health == "renamed":
            yield (
                "warning",
                f"@{name} has another username at Telegram: trilha bot-account renamed {name} NEW",
            )


def of_tokens(facts: Iterable[BotFacts], sealed: Mapping[int, bytes], keyring: Keyring) -> Iterator[Trouble]:
    """Sealed tokens that this key ring does not open. One that a line of the file goes before is not needed."""
    tokens = BotTokens(keyring)
    for found in facts:
        held = tokens.of(found.bot, sealed.get(found.bot.id))
        if held.source == "unreadable" and not found.in_file:
            name = found.bot.username
            text = f"the token of @{name} does not open with this key ring: trilha keys import, or give it again: "
            yield "failed", f"{text}trilha bot-account token {name} --token-file -"


def of_workers(facts: Iterable[BotFacts], now_ms: int) -> Iterator[Trouble]:
    """Bots that should have a worker and have none, one that hears nothing, or a webhook beside it."""
    for found in facts:
        if not (found.ours and found.bot.fit):
            continue
        name, status = found.bot.username, found.status
        if not status.served(now_ms):
            yield "warning", f"no worker is @{name}. Is `trilha bot` running?"
        elif (last := max(status.heard_at_ms or 0, status.checked_at_ms or 0)) < now_ms - QUIET_MS:
            since = f"for {(now_ms - last) // 60_000} minutes" if last else "yet"
            yield "warning", f"@{name} has not heard from Telegram {since}: see the log of `trilha bot`"
        if found.bot.webhook_key:
            text = f"@{name} has a token and a webhook, so two answer for it"
            yield "warning", f"{text}: trilha bot-account webhook {name} --off"


def of_settings(facts: Iterable[BotFacts], given: Settings) -> Iterator[Trouble]:
    """What a worker needs beside tokens."""
    if not any(found.ours for found in facts):
        return
    if given.telegram_api_id is None:
        yield "failed", "TRILHA_TELEGRAM_API_ID is not set: get an api_id from my.telegram.org"
    try:
        read_api_hash(given.api_hash)
    except ConfigError as error:
        yield "failed", str(error)


def _renewal(found: BotFacts) -> str:
    if found.in_file:
        return f"put it into TRILHA_BOT_TOKENS_FILE and run: trilha bot-account recheck {found.bot.username}"
    return f"run: trilha bot-account token {found.bot.username} --token-file -"


def _in_order(facts: list[BotFacts]) -> str:
    tokens = sum(found.ours for found in facts)
    webhooks = sum(found.bot.webhook_key is not None for found in facts)
    return f"{len(facts)} registered, {tokens} with a token here, {webhooks} with a webhook"
