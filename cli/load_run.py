"""trilha load run, shapes, capacity: load by Locust in the shapes that ad traffic has, and what a machine is good for."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.common import Json, show_table
from cli.interrupts import ended_by_sigterm
from domain.errors import ConfigError
from privacy.secret_file import private_text

if TYPE_CHECKING:
    from loadtests.arrivals import Shape
    from loadtests.capacity import Postgres
    from loadtests.run import RunReport
    from loadtests.target import Target

LOADTESTS_MISSING = (
    "the load tests are part of the source, not of the installed package: run this in a checkout"
)
HALF_A_TARGET = (
    "--url, --private and --api-key-file go together: a Trilha that is there, and a key of its API"
)
SHAPE_HELP = "ramp, steady, spike, day or soak: `trilha load shapes`."


class Mix(StrEnum):
    """Who comes."""

    owner = "owner"
    hostile = "hostile"


Folder = Annotated[
    Path | None,
    typer.Option(
        "--dir", help="Where homes are made; default: the temporary folder.", exists=True, file_okay=False
    ),
]


def run(
    shape: Annotated[str, typer.Argument(metavar="SHAPE", help=SHAPE_HELP)],
    mix: Annotated[Mix, typer.Option(help="Who comes: customers, or robots and attackers.")] = Mix.owner,
    scale: Annotated[float, typer.Option(help="So many times the shape's rates.", min=0.001, max=100)] = 1.0,
    shorten: Annotated[float, typer.Option(help="So many times shorter.", min=1, max=1000)] = 1.0,
    minutes: Annotated[
        float | None, typer.Option(help="Length of a shape that has none of its own.", min=0.05, max=10080)
    ] = None,
    url: Annotated[str | None, typer.Option(help="Public listener of a Trilha that is there.")] = None,
    private: Annotated[str | None, typer.Option(help="Its private listener.")] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="A file with a key of its API, for its owner alone.")
    ] = None,
    i_own_this_host: Annotated[
        bool, typer.Option("--i-own-this-host", help="Allow a target that is not this machine.")
    ] = False,
    thresholds: Annotated[
        Path | None,
        typer.Option(help="Another file than loadtests/thresholds.toml.", exists=True, dir_okay=False),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write HTML, CSV and JSON into this folder.", file_okay=False)
    ] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Put the load of a shape on a Trilha that is started for it, hold it to the thresholds, and check its books.

    Exits 1 when the owner's thresholds are missed, the generator was too late to tell, or a click was lost.
    """
    from cli.load import need_valkey, progress

    try:
        from loadtests.machine import default_folder
        from loadtests.plan import CannotRun, RungFailed
        from loadtests.run import RunPlan, need_locust, run_shape
        from loadtests.thresholds import Thresholds
    except ModuleNotFoundError as error:
        raise ConfigError(f"{LOADTESTS_MISSING} ({error})") from None
    try:
        need_locust()
        given = _given(url, private, api_key_file, own=i_own_this_host)
        plan = RunPlan(
            shape=_shape(shape, minutes).changed(scale=scale, shorten=shorten),
            mix=mix.value,
            scale=scale,
            shorten=shorten,
            thresholds=Thresholds.read(thresholds),
            folder=folder or default_folder(),
            valkey=None if given else need_valkey(),
            given=given,
        )
        with ended_by_sigterm():
            done = run_shape(plan, progress())
    except (CannotRun, RungFailed, ValueError) as error:
        raise ConfigError(str(error)) from None
    _tell(done, report, as_json=as_json)
    sys.exit(done.exit_code)


def shapes(as_json: Json = False) -> None:
    """The shapes, how long they take and how many arrivals they have."""
    try:
        from loadtests.shapes import load_shape, shape_names
    except ModuleNotFoundError as error:
        raise ConfigError(f"{LOADTESTS_MISSING} ({error})") from None
    found = [load_shape(name) for name in shape_names()]
    if as_json:
        said = [
            {
                "name": shape.name,
                "about": shape.about,
                "seconds": shape.seconds,
                "arrivals": round(shape.arrivals),
                "peak": shape.peak,
                "fixed": shape.fixed,
            }
            for shape in found
        ]
        print(json.dumps(said, indent=2))
        return
    rows = [
        [shape.name, f"{shape.seconds / 60:g}", f"{shape.arrivals:,.0f}", f"{shape.peak:,.0f}", shape.about]
        for shape in found
    ]
    show_table(["shape", "minutes", "arrivals", "peak/s", "course"], rows, empty="no shapes")


def capacity(
    seconds: Annotated[int, typer.Option(help="Length of each measurement.", min=1, max=60)] = 4,
    connections: Annotated[int, typer.Option(help="Connections at once.", min=1, max=1024)] = 64,
    conversions: Annotated[
        int, typer.Option(help="Starts and conversions to weigh.", min=100, max=100_000)
    ] = 1500,
    without_postgres: Annotated[bool, typer.Option("--without-postgres", help="SQLite alone.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Measure what one core and one click take on this machine, and print what 10^5 to 10^9 clicks a day need.

    Exits 1 when a click was lost meanwhile. Needs wrk, Valkey and, for its rows, PostgreSQL.
    """
    from cli.load import need_valkey, progress

    try:
        from loadtests.capacity import as_json as sheet_json
        from loadtests.capacity import measure_capacity, print_sheet
        from loadtests.machine import default_folder
        from loadtests.plan import CannotRun, Plan, RungFailed, find_wrk
    except ModuleNotFoundError as error:
        raise ConfigError(f"{LOADTESTS_MISSING} ({error})") from None
    try:
        plan = Plan(
            wrk=find_wrk(),
            valkey=need_valkey(),
            folder=folder or default_folder(),
            seconds=seconds,
            connections=connections,
        )
        with ended_by_sigterm(), _postgres(wanted=not without_postgres) as postgres:
            found = measure_capacity(plan, conversions, postgres, progress())
    except (CannotRun, RungFailed) as error:
        raise ConfigError(str(error)) from None
    if as_json:
        print(json.dumps(sheet_json(found), indent=2, ensure_ascii=False))
    else:
        print_sheet(found)
    sys.exit(found.exit_code)


@contextmanager
def _postgres(*, wanted: bool) -> Iterator["Postgres | None"]:
    """A PostgreSQL that is started for this, with its data in a folder of its own; ConfigError when there is none."""
    if not wanted:
        yield None
        return
    from chaos.servers import PostgresServer, ServerFailed, ServerMissing
    from loadtests.capacity import Postgres

    try:
        with PostgresServer() as server:
            yield Postgres(url=server.url(), data=server.directory / "data")
    except (ServerMissing, ServerFailed) as error:
        raise ConfigError(f"{error} Or measure --without-postgres") from None


def _shape(name: str, minutes: float | None) -> "Shape":
    from loadtests.shapes import load_shape

    shape = load_shape(name)
    return shape if minutes is None else shape.lasting(minutes)


def _given(url: str | None, private: str | None, key: Path | None, *, own: bool) -> "Target | None":
    """The Trilha that is to be loaded; None for one that is started for it. The key is read once, to be sure of the file."""
    from loadtests.target import Target, check_target

    if url is None and private is None and key is None:
        return None
    if url is None or private is None or key is None:
        raise ConfigError(HALF_A_TARGET)
    private_text(key, "the file of the API key")
    return Target(
        public=check_target(url, own=own), private=check_target(private, own=own), api_key_file=key.absolute()
    )


def _tell(done: "RunReport", folder: Path | None, *, as_json: bool) -> None:
    """The report: as JSON, or as a table with the verdict below it; and into the folder."""
    from loadtests.files import write_files
    from loadtests.run import as_json as report_json

    files = write_files(done, folder) if folder else []
    if as_json:
        print(json.dumps(report_json(done), indent=2, ensure_ascii=False))
        return
    whole = done.seen["all"]
    print(
        f"{done.shape.name}, {done.mix} mix, {done.scale:g} of its rate, {done.shape.seconds:,.0f} s: "
        f"{whole['requests']:,} requests, generator late p99 {done.seen['late']['p99_ms']:.1f} ms\n"
    )
    rows = [
        [check.whose, check.what, check.limit, check.seen, "held" if check.held else "MISSED"]
        for check in done.checks
    ]
    show_table(["whose", "what", "limit", "seen", ""], rows, empty="nothing was judged")
    for reason, count in done.seen["reasons"].items():
        print(f"{count:,} x {reason}")
    if done.accounts:
        print(
            f"\nbooks: {done.accounts.answered:,} answered, {done.accounts.issued:,} issued, "
            f"{done.accounts.stored:,} stored"
        )
    for text in done.complaints:
        print(f"WRONG: {text}")
    print(f"\n{done.verdict}")
    for file in files:
        print(file)
