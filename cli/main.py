"""The `trilha` command. It imports what is called, and no other command: all of them take a second to import."""

import sys
from collections.abc import Iterable
from importlib import import_module

import typer

from cli.common import EXIT_CONFIG, EXIT_FAILED, EXIT_STORE
from domain.errors import InvalidToken, StoreError, TrilhaError

COMMANDS = {
    "up": "up.up",
    "serve": "processes.serve",
    "work": "processes.work",
    "bot": "processes.bot",
    "dashboard": "dashboard.dashboard",
    "migrate": "processes.migrate",
    "move": "move.move",
    "import": "import_history.import_history",
    "doctor": "doctor.doctor",
    "start": "clicks.start",
    "conversion": "conversions.conversion",
    "explain": "explain.explain",
    "accounting": "clicks.accounting",
    "report": "report.report",
    "rescore": "rescore.rescore",
    "export": "export.export",
    "archive": "archive.archive",
    "profile": "subject.profile",
    "backup": "backup.backup",
    "restore": "restore.restore",
    "link": "links.links",
    "bot-account": "bot_accounts.bots",
    "webhook": "webhooks.webhooks",
    "pixel": "pixels.pixels",
    "click": "clicks.click",
    "keys": "keys.keys",
    "geoip": "geoip.geoip",
    "outbox": "outbox.outbox",
    "user": "users.users",
    "rollups": "rollups.rollups",
    "alerts": "alerts.alerts",
    "privacy": "privacy.privacy",
    "load": "load.load",
    "drill": "drill.drill",
}
"""Each command or group of commands, in the order of the help: where in this room it is."""


def make_app(names: Iterable[str] = tuple(COMMANDS)) -> typer.Typer:
    """The command with those of COMMANDS; all of them by default."""
    app = typer.Typer(
        name="trilha",
        help="Click tracking for ads that lead into Telegram bots. Loses nothing when its stores fail, and can prove it.",
        epilog="Exit codes: 0 done, 1 the answer is no, 2 wrong usage or configuration, 3 a store or the registry cannot be reached.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    # With a callback it is a group, even of one.
    app.callback()(lambda: None)
    for name in names:
        module, _, attribute = COMMANDS[name].partition(".")
        found = getattr(import_module(f"cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def run() -> None:
    """Entry of the console script: our own errors become a sentence and an exit code."""
    called = sys.argv[1:2]
    try:
        make_app(called if COMMANDS.keys() & called else COMMANDS)()
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
