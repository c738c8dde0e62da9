"""The `trilha` command."""

import sys

import typer

from cli import (
    bot_accounts,
    clicks,
    conversions,
    dashboard,
    doctor,
    drill,
    explain,
    export,
    geoip,
    keys,
    links,
    load,
    outbox,
    pixels,
    privacy,
    processes,
    report,
    rescore,
    rollups,
    subject,
    up,
    users,
    webhooks,
)
from cli.common import EXIT_CONFIG, EXIT_FAILED, EXIT_STORE
from domain.errors import InvalidToken, StoreError, TrilhaError

app = typer.Typer(
    name="trilha",
    help="Click tracking for ads that lead into Telegram bots. Loses nothing when its stores fail, and can prove it.",
    epilog="Exit codes: 0 done, 1 the answer is no, 2 wrong usage or configuration, 3 a store or the registry cannot be reached.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(up.up)
app.command()(processes.serve)
app.command()(processes.work)
app.command()(processes.bot)
app.command()(dashboard.dashboard)
app.command()(processes.migrate)
app.command()(doctor.doctor)
app.command()(clicks.start)
app.command()(conversions.conversion)
app.command()(explain.explain)
app.command()(clicks.accounting)
app.command()(report.report)
app.command()(rescore.rescore)
app.command()(export.export)
app.command()(subject.profile)
app.add_typer(links.links, name="link")
app.add_typer(bot_accounts.bots, name="bot-account")
app.add_typer(webhooks.webhooks, name="webhook")
app.add_typer(pixels.pixels, name="pixel")
app.add_typer(clicks.click, name="click")
app.add_typer(keys.keys, name="keys")
app.add_typer(geoip.geoip, name="geoip")
app.add_typer(outbox.outbox, name="outbox")
app.add_typer(users.users, name="user")
app.add_typer(rollups.rollups, name="rollups")
app.add_typer(privacy.privacy, name="privacy")
app.add_typer(load.load, name="load")
app.add_typer(drill.drill, name="drill")


def run() -> None:
    """Entry of the console script: our own errors become a sentence and an exit code."""
    try:
        app()
    except InvalidToken as error:
        _fail(f"the token is refused ({error.reason})", EXIT_FAILED)
    except StoreError as error:
        _fail(str(error), EXIT_STORE)
    except TrilhaError as error:
        _fail(str(error), EXIT_CONFIG)


def _fail(message: str, code: int) -> None:
    print(f"trilha: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    run()
