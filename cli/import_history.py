"""trilha import: the history of another tracker (ADR 0039)."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.common import CLOCK, EXIT_FAILED, Json, run, settings, show
from domain.errors import ConfigError
from privacy.secret_file import private_text
from runtime.settings import Settings

if TYPE_CHECKING:
    from backends.sql.engine import Engine
    from backends.sql.import_columns import Columns
    from backends.sql.import_source import HistorySource
    from daemon.history import History
    from privacy.keyring import Keyring

PATIENCE = 30.0
IDENTITY = ("id", "telegram_id", "clicked_at", "created_at", "bot")
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the operator has said."""

    url: str
    link: str
    bot: str | None
    table: str | None
    columns: dict[str, str]
    zone: str
    name: str | None
    dry_run: bool


def import_history(
    source: Annotated[
        str | None,
        typer.Argument(
            help="sqlite:///FILE, or a postgresql:// URL without a password. It is only read.",
            show_default=False,
        ),
    ] = None,
    *,
    link: Annotated[
        str, typer.Option("--link", help="The link that its clicks are counted under, by its slug.")
    ],
    bot: Annotated[
        str | None, typer.Option("--bot", help="The bot that was started; default: as each row says.")
    ] = None,
    source_file: Annotated[
        str | None, typer.Option("--source-file", help="File with the URL, password included, 0600.")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", help="The table; default: bot_users, BotUser or the like.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="FIELD=COLUMN, where it is not found by itself. Repeatable."),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option("--source-timezone", help="Of times without a zone; default: TRILHA_TIMEZONE."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="What the source is called among imports; default: file or database."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read all of it and say what would come. Changes nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take over the clicks and people of another tracker. Nothing of them is sent. Repeat it after whatever ended it."""
    given = settings()
    asked = _Asked(
        url=_source(source, source_file),
        link=link,
        bot=bot,
        table=table,
        columns=_pairs(column or []),
        zone=_zone(zone or given.timezone),
        name=name,
        dry_run=dry_run,
    )
    found = run(_import(given, asked))
    show(found, as_json=as_json, text=_text(found))
    if any(reason != _too_old() for reason in found["refused"]):
        sys.exit(EXIT_FAILED)


async def _import(given: Settings, asked: _Asked) -> dict[str, Any]:
    from backends.sql.engine import close_engine, make_engine
    from backends.sql.import_source import HistorySource
    from privacy.keyring import Keyring

    source = HistorySource(asked.url)
    engine = make_engine(given.sql, patience=PATIENCE)
    try:
        columns = await source.look(name=asked.table, given=asked.columns)
        keyring = Keyring(given.secrets, CLOCK)
        history, where = await _history(given, asked, source, columns, engine, keyring)
        return await _read_all(given, asked, source, columns, engine, keyring, history, where)
    finally:
        await source.close()
        await close_engine(engine)


async def _history(
    given: Settings,
    asked: _Asked,
    source: "HistorySource",
    columns: "Columns",
    engine: "Engine",
    keyring: "Keyring",
) -> "tuple[History, dict[str, Any]]":
    """The reader of rows, and how it reads. ConfigError where link or bot are not ours."""
    from backends.sql.links import SqlCatalog
    from daemon.history import History
    from privacy.pseudonymise import Pseudonymiser
    from privacy.seal import Sealer

    catalog = await SqlCatalog(engine, CLOCK).load()
    link = catalog.by_slug().get(asked.link)
    if link is None:
        raise ConfigError(f"there is no link {asked.link!r}. Make it with: trilha link add")
    bot = catalog.bot(asked.bot) if asked.bot is not None else None
    if asked.bot is not None and bot is None:
        raise ConfigError(
            f"there is no bot {asked.bot!r}. Make it with: trilha link add, or trilha link pool add"
        )
    if bot is None and "telegram_id" in columns.of and "bot" not in columns.of:
        raise ConfigError("the table does not say which bot was started. Name it with --bot")
    name = asked.name or source.name
    where = {
        "link": link.slug,
        "bot": None if bot is None else bot.username,
        "timezone": asked.zone,
        "columns": dict(sorted(columns.of.items())),
    }
    history = History(
        pseudonymiser=Pseudonymiser(keyring, Sealer(keyring)),
        mac=keyring.mac(keyring.import_key()),
        source=name,
        table=source.table,
        link_id=link.id,
        bots={each.username.lower(): each.id for each in catalog.bots},
        bot=None if bot is None else bot.id,
        zone=ZoneInfo(asked.zone),
        now_ms=CLOCK.now_ms(),
        click_ms=given.click_days * DAY_MS,
        sealed_ms=given.sealed_days * DAY_MS,
    )
    return history, {"name": name} | where


async def _read_all(
    given: Settings,
    asked: _Asked,
    source: "HistorySource",
    columns: "Columns",
    engine: "Engine",
    keyring: "Keyring",
    history: "History",
    where: dict[str, Any],
) -> dict[str, Any]:
    from backends.sql.import_there import There
    from backends.sql.ledger import SqlLedger
    from daemon.enrich.build import make_enricher
    from daemon.enrich.geo import GeoIp
    from daemon.import_checkpoint import Checkpoint
    from daemon.importing import Importer

    # What makes a row another click or another start.
    read_as = {name: where[name] for name in ("link", "bot", "timezone")}
    read_as |= {f"column {field}": columns.of.get(field) for field in IDENTITY}
    checkpoint = Checkpoint(
        given.home_dir,
        source=where["name"],
        table=source.table,
        given=read_as,
        keep_last=not columns.key_names_people,
    )
    last = checkpoint.last()
    after = None if asked.dry_run else last
    ledger = SqlLedger(engine, keyring.person_key, touch=given.attribution, imported=True)
    importer = Importer(
        pages=source,
        history=history,
        enricher=make_enricher(given, keyring, GeoIp(given.geoip)),
        ledger=None if asked.dry_run else ledger,
        there=There(engine),
        clock=CLOCK,
        batch=given.settle_batch,
        hide_ids=columns.key_names_people,
    )
    total = await source.count(after)
    if not asked.dry_run and after is None:
        checkpoint.reached(None)
    bars = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*bars, console=Console(stderr=True), transient=True) as shown:
        bar = shown.add_task("reading" if asked.dry_run else "importing", total=total)

        def done(key: int | str, rows: int) -> None:
            if not asked.dry_run:
                checkpoint.reached(key)
            shown.update(bar, advance=rows)

        await importer.run(after, done)
    if not asked.dry_run:
        checkpoint.reached(None)
    tally = importer.tally
    nameless = await source.nameless()
    refused = dict(tally.refused) | ({"no id": nameless} if nameless else {})
    return {
        "state": "dry run" if asked.dry_run else "imported",
        "source": where["name"],
        "table": source.table,
        "columns": where["columns"],
        "left_out": list(columns.left_out),
        "resumed": after is not None,
        "rows": tally.rows + nameless,
        "clicks": tally.clicks,
        "new": tally.new,
        "starts": tally.starts,
        "with_visitor_key": tally.visitors,
        "with_original": tally.sealed,
        "refused": refused,
        "refused_rows": tally.shown,
        "notes": dict(tally.notes),
    }


def _text(found: dict[str, Any]) -> str:
    dry = found["state"] == "dry run"
    lines = [
        f"{found['source']}, table {found['table']}: {found['rows']} rows read"
        + (" (gone on where it had stopped)" if found["resumed"] else ""),
        "columns       " + ", ".join(f"{field}={name}" for field, name in found["columns"].items()),
        "left out      " + (", ".join(found["left_out"]) or "-"),
        f"clicks        {found['clicks']:>10}   {found['new']} of them new",
        f"starts        {found['starts']:>10}   clicks with a person",
        f"visitor keys  {found['with_visitor_key']:>10}   of days whose key the ring has",
        f"originals     {found['with_original']:>10}   young enough to be kept, sealed",
    ]
    lines += [f"note          {many:>10}   {note}" for note, many in sorted(found["notes"].items())]
    for reason, many in sorted(found["refused"].items()):
        rows = found["refused_rows"].get(reason, [])
        more = ", …" if many > len(rows) else ""
        which = f": {', '.join(rows)}{more}" if rows else ""
        lines.append(f"refused       {many:>10}   {reason}{which}")
    lines.append("")
    lines.append(
        "Nothing was changed. Repeat it without --dry-run"
        if dry
        else "Imported. None of it is sent to Meta or to webhooks; `trilha work` adds it to the reports"
    )
    return "\n".join(lines)


def _too_old() -> str:
    from daemon.history import TOO_OLD

    return TOO_OLD


def _source(source: str | None, file: str | None) -> str:
    """Where from. ConfigError: it is said in no way or in two, or an argument holds a password."""
    from backends.sql.import_source import password_in

    if (source is None) == (file is None):
        raise ConfigError("say where from: SOURCE, or --source-file FILE that holds the URL")
    if source is not None and password_in(source):
        raise ConfigError(
            "everybody on this machine can read a password among arguments. Change it if it is in use, and give the URL in a file "
            "with --source-file; or leave the password out, and give it in PGPASSWORD or ~/.pgpass"
        )
    return source or private_text(Path(file or ""), "the file of the source").strip()


def _pairs(given: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        field, mark, column = text.partition("=")
        if not (field and mark and column) or field in pairs:
            raise ConfigError("write --column FIELD=COLUMN, each field once: --column telegram_id=user_id")
        pairs[field] = column
    return pairs


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"--source-timezone {name!r} is no time zone, such as America/Sao_Paulo") from None
    return name
