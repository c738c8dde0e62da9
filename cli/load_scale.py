"""trilha load scale: what more daemons bring on this machine."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.common import Json
from cli.interrupts import ended_by_sigterm
from cli.load_run import LOADTESTS_MISSING
from domain.errors import ConfigError


def scale(
    daemons: Annotated[int, typer.Option(help="Measure one daemon up to so many.", min=2, max=16)] = 3,
    seconds: Annotated[int, typer.Option(help="Length of each measurement.", min=1, max=30)] = 4,
    rounds: Annotated[int, typer.Option(help="How often each count is measured.", min=1, max=20)] = 5,
    connections: Annotated[
        int, typer.Option(help="Connections at once, over all daemons.", min=16, max=1024)
    ] = 96,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", help="Where homes are made; default: the temporary folder.", exists=True, file_okay=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the clicks a second of one `trilha serve`, two and three, in turn, each with a spool of its own.

    Exits 1 when a click was lost, or a bar is missed that this machine can judge. Needs wrk and Valkey.
    """
    from cli.load import need_valkey, progress

    try:
        from loadtests.machine import default_folder
        from loadtests.plan import CannotRun, Plan, RungFailed, find_wrk
        from loadtests.scale import as_json as report_json
        from loadtests.scale import measure_scale, print_scale
    except ModuleNotFoundError as error:
        raise ConfigError(f"{LOADTESTS_MISSING} ({error})") from None
    try:
        plan = Plan(
            wrk=find_wrk(),
            valkey=need_valkey(),
            folder=folder or default_folder(),
            seconds=seconds,
            rounds=rounds,
            connections=connections,
        )
        with ended_by_sigterm():
            found = measure_scale(plan, range(1, daemons + 1), progress())
    except (CannotRun, RungFailed) as error:
        raise ConfigError(str(error)) from None
    if as_json:
        print(json.dumps(report_json(found), indent=2, ensure_ascii=False))
    else:
        print_scale(found)
    sys.exit(found.exit_code)
