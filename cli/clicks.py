"""trilha click, start, accounting: one click, one start, all the books."""

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from analytics.inspect import Inspect, view_json
from backends.build import Stores, open_all_spools
from backends.catalog_cache import CatalogCache
from backends.sql.books import Books, read_books
from backends.sql.engine import make_engine
from bot.associate import Associate, StartAnswer, StartRequest
from cli.common import CLOCK, PATIENCE, Json, duration_ms, local_time, run, settings, show, stores_of
from domain.books import MINUTE_MS
from domain.clock import iso
from domain.errors import ConfigError
from domain.observations import Silent
from domain.outcomes import Durability
from privacy.keyring import Keyring
from privacy.token import Minter
from runtime.settings import Settings

click = typer.Typer(help="Single clicks.", no_args_is_help=True)
Token = Annotated[str, typer.Argument(help="The token of the deep link; `-` reads it from standard input.")]
ATTEMPTS = 3
OPEN_MS = 10_000


@click.command("show")
def show_click(token: Token, as_json: Json = False) -> None:
    """Everything that is known of one click, and which stores have it."""
    given = settings()

    async def look() -> tuple[dict[str, Any], bool, bool]:
        async with stores_of(given) as stores:
            catalog = await catalog_in(stores, given)
            inspect = Inspect(
                minter=minter_of(given),
                locator=stores.chain,
                ledger=stores.ledger,
                links=catalog,
                ads=stores.catalog,
                spool_durability=Durability.SYNCED if given.spool_sync == "full" else Durability.WRITTEN,
            )
            view = await inspect.click(read_token(token))
            known = view.click is not None or (view.row is not None and view.row.owner is not None)
            return view_json(view, catalog.bot_name), known, view.certain

    shown, known, certain = run(look())
    text = "\n".join(f"{name:14} {_line(value)}" for name, value in (shown | _told_scores(shown)).items())
    if shown["known_from"] == "token":
        text += "\n\n" + (
            "No store has this click: this is all that its token says."
            if certain
            else "A store cannot be asked now."
        )
    show(shown, as_json=as_json, text=text)
    if not known:
        sys.exit(1 if certain else 3)


def _told_scores(shown: dict[str, Any]) -> dict[str, Any]:
    """The scores with their reasons, a score in a sentence."""
    scores = shown["scores"]
    return {"scores": scores and {name: _score(value) for name, value in scores.items()}}


def _score(value: dict[str, Any] | int) -> str:
    if isinstance(value, int):
        return str(value)
    reasons = [f"{seen['signal']} {seen['weight']}: {seen['evidence']}" for seen in value["reasons"]]
    return f"{value['points']} ({'; '.join(reasons)})" if reasons else str(value["points"])


def _line(value: Any) -> str:
    """One value in one line; of an object, what is known."""
    if isinstance(value, dict):
        known = {name: _line(part) for name, part in value.items() if part not in (None, "", [], {})}
        return ", ".join(f"{name} {part}" for name, part in known.items()) or "-"
    if isinstance(value, list):
        return "; ".join(_line(part) for part in value) or "-"
    return "-" if value is None else str(value)


def start(
    token: Token,
    telegram_id: Annotated[
        int, typer.Option("--telegram-id", help="The person's numeric Telegram id.", min=1)
    ],
    bot: Annotated[
        str | None, typer.Option("--bot", help="The bot that was started; default: the link's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Redeem a token, as if that person had pressed START. The same code as the bot worker's."""
    given = settings()

    async def redeem() -> StartAnswer:
        async with stores_of(given) as stores:
            catalog = await catalog_in(stores, given)
            minter = minter_of(given)
            text = read_token(token)
            name = bot or _bot_of(catalog, minter, text)
            associate = Associate(
                minter=minter,
                bots=catalog,
                unsettled=stores.chain,
                ledger=stores.ledger,
                spool=stores.disk,
                clock=CLOCK,
                observer=Silent(),
            )
            return await associate.start(StartRequest(bot=name, telegram_id=telegram_id, token=text))

    answer = run(redeem())
    # The object of the API, whose server takes long to import.
    from daemon.api import start_json

    show(start_json(answer), as_json=as_json, text=_start_text(answer, given))


def accounting(
    since: Annotated[str, typer.Option("--since", help="How far back: 90m, 24h, 7d.")] = "24h",
    as_json: Json = False,
) -> None:
    """The books: what was promised, and where it is. Exits 1 when they do not balance."""
    given = settings()
    books, until = run(_books(given, duration_ms(since)))
    values = asdict(books) | {"until": iso(until), "balanced": books.balanced, "faults": books.faults}
    show(values, as_json=as_json, text=_books_text(books, local_time(until, given)))
    if not books.balanced:
        sys.exit(1)


async def _books(given: Settings, back_ms: int) -> tuple[Books, int]:
    """Up to now if the books stand still; else up to the last minute that nothing is added to any more."""
    engine = make_engine(given.sql, patience=PATIENCE)
    spools = open_all_spools(given)
    now = CLOCK.now_ms()
    try:
        for _ in range(ATTEMPTS):
            now = CLOCK.now_ms()
            books = await read_books(engine, spools, since_ms=now - back_ms, until_ms=now + MINUTE_MS)
            if books.balanced:
                return books, now
        until = (now - OPEN_MS) // MINUTE_MS * MINUTE_MS
        return await read_books(engine, spools, since_ms=now - back_ms, until_ms=until), until
    finally:
        for spool in spools:
            spool.close()
        await engine.dispose()


async def catalog_in(stores: Stores, given: Settings) -> CatalogCache:
    """Links and bots: of SQL, or of the copy on disk."""
    catalog = CatalogCache(stores.catalog, given.catalog_file, CLOCK)
    catalog.load_copy()
    await catalog.refresh()
    return catalog


def minter_of(given: Settings) -> Minter:
    """Verifies tokens with the keys in force."""
    return Minter(
        Keyring(given.secrets, CLOCK), CLOCK, node=given.node, attribution_days=given.attribution_days
    )


def read_token(text: str) -> str:
    """The token, from standard input where it is `-`."""
    return sys.stdin.readline().strip() if text == "-" else text


def _bot_of(catalog: CatalogCache, minter: Minter, token: str) -> str:
    link = catalog.link_by_id(minter.verify(token).link_id)
    if link is None or link.bot is None:
        raise ConfigError("the token's link has no bot; name one with --bot")
    return link.bot.username


def _start_text(answer: StartAnswer, given: Settings) -> str:
    if answer.state == "deferred":
        return "kept for later: SQL cannot be asked now. The start settles by itself when it can"
    if not answer.owner:
        return "this click belongs to somebody else"
    if answer.click is None:
        return "bound; the click itself has not arrived yet"
    return f"bound to the click of {local_time(answer.click.at_ms, given)}"


def _books_text(books: Books, until: str) -> str:
    lines = [
        f"issued        {books.issued:>10}   tokens given out, up to {until}",
        f"  synced      {books.synced:>10}   on the disk before the answer",
        f"  written     {books.written:>10}   handed to the disk before the answer",
        f"  token_only  {books.token_only:>10}   only the token was promised",
        f"spooled       {books.spooled:>10}   click records taken into spools",
        f"  in SQL      {books.in_sql:>10}   settled",
        f"  in spools   {books.in_spools:>10}   waiting to be settled",
        f"direct        {books.direct:>10}   taken by SQL at the redirect itself",
        f"started       {books.started:>10}   clicks with an owner",
        f"erased        {books.erased:>10}",
        f"imported      {books.imported:>10}   clicks of another tracker, which no token was given out for",
        "",
        "The books balance." if books.balanced else "THE BOOKS DO NOT BALANCE",
    ]
    return "\n".join(lines + [f"  {fault}" for fault in books.faults])
