"""trilha load history, pages: a long history to look at, and how long the dashboard's pages then take."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.common import Json, settings, show_table
from cli.interrupts import ended_by_sigterm
from cli.load_run import LOADTESTS_MISSING
from domain.errors import ConfigError
from privacy.secret_file import private_text

if TYPE_CHECKING:
    from loadtests.pages import PageTimes


def history(
    clicks: Annotated[int, typer.Option(help="Clicks in all.", min=1)] = 10_000_000,
    days: Annotated[int, typer.Option(help="Days that they lie in.", min=1, max=3660)] = 90,
    links: Annotated[int, typer.Option(help="Links.", min=1, max=1000)] = 20,
    ads: Annotated[int, typer.Option(help="Ads.", min=1, max=100_000)] = 500,
    seed: Annotated[int, typer.Option(help="Another seed is another history.")] = 1,
    until: Annotated[str | None, typer.Option(help="Its last moment, ISO 8601; default: now.")] = None,
    sql_url: Annotated[
        str | None, typer.Option(help="The database, with its tables; default: TRILHA_SQL_URL.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with one that was interrupted.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Write a made-up history anew.")] = False,
    as_json: Json = False,
) -> None:
    """Write a made-up history into an empty database: to see reports and dashboard with months of clicks.

    A database with anything in it is refused; `--fresh` empties one that holds a made-up history, and no other.
    """
    from cli.load import progress

    try:
        from loadtests.history.plan import CannotWrite, History, moment
        from loadtests.history.write import as_json as written_json
        from loadtests.history.write import as_text, carry_out
    except ModuleNotFoundError as error:
        raise ConfigError(f"{LOADTESTS_MISSING} ({error})") from None
    if resume and fresh:
        raise ConfigError("--resume or --fresh, not both")
    try:
        wanted = History(clicks=clicks, days=days, links=links, ads=ads, seed=seed, until_ms=moment(until))
        with ended_by_sigterm():
            done = carry_out(sql_url or settings().sql, wanted, progress(), resume=resume, fresh=fresh)
    except (CannotWrite, ValueError) as error:
        raise ConfigError(str(error)) from None
    print(json.dumps(written_json(done), indent=2) if as_json else as_text(done))


def pages(
    dashboard: Annotated[str, typer.Option(help="URL of the dashboard.")],
    user: Annotated[str, typer.Option(help="Who signs in.")],
    password_file: Annotated[Path, typer.Option(help="A file with the password, 0600.", dir_okay=False)],
    paths: Annotated[
        list[str] | None,
        typer.Option("--page", help="A path; may be repeated. Default: all that it leads to."),
    ] = None,
    query: Annotated[str, typer.Option(help="Query of every page, such as period=90d.")] = "",
    times: Annotated[int, typer.Option(help="How often each page is asked for.", min=1, max=1000)] = 20,
    paint: Annotated[bool, typer.Option("--paint", help="Also until it is painted in Chromium.")] = False,
    chromium: Annotated[str, typer.Option(help="The browser for --paint.")] = "/usr/bin/chromium",
    as_json: Json = False,
) -> None:
    """Ask a dashboard for its pages and say how long each takes, from a request to its last byte.

    Exits 1 when a page's 95th percentile is over 300 ms, its paint over 1.5 s, or its answer not 200.
    """
    from cli.load import progress

    try:
        from loadtests.pages import Account, Visitor, discover, measure
        from loadtests.paint import with_paint
        from loadtests.plan import CannotRun
    except ModuleNotFoundError as error:
        raise ConfigError(f"{LOADTESTS_MISSING} ({error})") from None
    say = progress()
    account = Account(
        name=user, password=private_text(password_file, "the file of the password").strip("\r\n")
    )
    try:
        with ended_by_sigterm():
            visitor = Visitor(dashboard)
            visitor.sign_in(account)
            found = measure(visitor, paths or discover(visitor), times, query, say)
            visitor.close()
            if paint:
                found = with_paint(visitor.base, account, found, min(times, 5), query, say, chromium)
    except CannotRun as error:
        raise ConfigError(str(error)) from None
    _tell(found, as_json=as_json)
    sys.exit(0 if all(page.held for page in found) else 1)


def _tell(found: "list[PageTimes]", *, as_json: bool) -> None:
    from loadtests.pages import as_row, page_json

    if as_json:
        print(json.dumps([page_json(page) for page in found], indent=2))
        return
    headings = ["page", "status", "p50 ms", "p95 ms", "max ms", "paint ms", "", ""]
    show_table(headings, [as_row(page) for page in found], empty="no pages")
