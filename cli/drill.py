"""trilha drill: break things on purpose, and prove that nothing is lost."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.common import Json
from cli.interrupts import ended_by_sigterm
from domain.errors import ConfigError

if TYPE_CHECKING:
    from chaos.catalogue import Experiment
    from chaos.report.result import Report

drill = typer.Typer(
    help="Chaos drills on servers that are started for them, on this machine.", no_args_is_help=True
)
DRILLS_MISSING = (
    "drills need a checkout and the chaos extra: pip install 'trilha[chaos,postgres,redis-embedded,bot]'"
)
JSON = "report.json"
Folder = Annotated[
    Path | None,
    typer.Option(
        "--report", help="Folder for report.html and report.json; made if need be.", file_okay=False
    ),
]
Previous = Annotated[
    Path | None,
    typer.Option(
        "--compare", help="A report.json of before: what has changed is shown.", exists=True, dir_okay=False
    ),
]

Untimed = Annotated[
    bool,
    typer.Option(
        "--without-times", help="Judge what is kept, not how fast: for a machine that others use too."
    ),
]


@drill.command("list")
def list_drills(as_json: Json = False) -> None:
    """Every drill: what it breaks, which faults of the matrix it covers, and what this machine lacks for it."""
    found = _all()
    if as_json:
        print(json.dumps([_row(each) for each in found], indent=2, ensure_ascii=False))
        return
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        print(
            f"{each.name:{width}}  {each.title}" + (f"  ({'; '.join(each.missing)})" if each.missing else "")
        )


@drill.command()
def run(
    names: Annotated[list[str], typer.Argument(help="Names of drills; see `trilha drill list`.")],
    folder: Folder = None,
    previous: Previous = None,
    untimed: Untimed = False,
    as_json: Json = False,
) -> None:
    """Run some drills, half a minute each. Exits 1 when a promise is broken or a drill could not be carried out."""
    known = {each.name: each for each in _all()}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"there is no drill {', '.join(unknown)}; see `trilha drill list`")
    _run([known[name] for name in names], folder, previous, untimed=untimed, as_json=as_json)


@drill.command("all")
def run_all(
    folder: Folder = None,
    previous: Previous = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Only the subset for each change, some minutes.")
    ] = False,
    untimed: Untimed = False,
    as_json: Json = False,
) -> None:
    """Run every drill, up to an hour. Exits 1 when a promise is broken or a drill could not be carried out."""
    _run(
        [each for each in _all() if each.fast or not fast], folder, previous, untimed=untimed, as_json=as_json
    )


@drill.command()
def soak(
    minutes: Annotated[float, typer.Option(help="How long faults are drawn for.", min=0.2, max=24 * 60)] = 30,
    seed: Annotated[int, typer.Option(help="The same seed draws the same faults.")] = 1,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Break one thing after the other at random, under one load without a break. Exits 1 when a promise is broken."""
    _load_chaos()
    from tempfile import TemporaryDirectory

    from chaos.soak import soak as drawn

    with TemporaryDirectory(prefix="trilha-soak-") as place:
        _run([drawn(minutes, seed, Path(place))], folder, None, untimed=False, as_json=as_json)


@drill.command("show")
def show_report(
    path: Annotated[Path, typer.Argument(help="A report.json.", exists=True, dir_okay=False)],
    previous: Previous = None,
) -> None:
    """Print a report again, compared with another one if you like."""
    _load_chaos()
    _print(_read(path), _read(previous) if previous else None)


@drill.command("prove")
def prove_drills(
    bugs: Annotated[
        list[str] | None, typer.Argument(help="Names of planted bugs; all, if none is given.")
    ] = None,
) -> None:
    """Plant known bugs into Trilha, and see that a drill finds each of them. Exits 1 when one was not found."""
    _load_chaos()
    from rich.console import Console

    from chaos.prove import prove, wanted
    from chaos.report.live import Live

    with ended_by_sigterm(), Live(Console(stderr=True)) as live:
        proofs = prove(wanted(bugs or ()), live)
    for proof in proofs:
        print(f"{proof.planted.bug:28} {proof.planted.drill:24} {proof.says}")
    sys.exit(0 if all(proof.found for proof in proofs) else 1)


def _run(
    wanted: "list[Experiment]", folder: Path | None, previous: Path | None, *, untimed: bool, as_json: bool
) -> None:
    from rich.console import Console

    from chaos.report.live import Live
    from chaos.report.result import save
    from chaos.run import run_drills

    if not wanted:
        raise ConfigError("no drill is wanted; see `trilha drill list`")
    before = _read(previous) if previous else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with ended_by_sigterm(), Live(Console(stderr=True)) as live:
        for report in run_drills(wanted, live, judge_times=not untimed):
            if folder is not None:
                save(report, folder / JSON)  # what ran is kept, should the rest be interrupted
    _end(report, before, folder, as_json=as_json)


def _end(report: "Report", before: "Report | None", folder: Path | None, *, as_json: bool) -> None:
    from msgspec.json import encode

    from chaos.report.html import page

    if folder is not None:
        (folder / "report.html").write_text(page(report, before))
        print(f"report: {folder / 'report.html'}", file=sys.stderr)
    if as_json:
        print(encode(report).decode())
    else:
        _print(report, before)
    sys.exit(0 if report.verdict == "held" else 1)


def _print(report: "Report", before: "Report | None") -> None:
    from rich.console import Console

    from chaos.report.compare import compare
    from chaos.report.terminal import show

    show(Console(), report, compare(before, report) if before else None)


def _read(path: Path) -> "Report":
    from chaos.report.result import ReportUnreadable, load

    try:
        return load(path)
    except ReportUnreadable as error:
        raise ConfigError(str(error)) from None


def _all() -> "list[Experiment]":
    _load_chaos()
    from chaos.catalogue import experiments

    return experiments()


def _load_chaos() -> None:
    """ConfigError with what to install, where drills cannot run."""
    try:
        import chaos.run  # noqa: F401  whether it is there, and all that it needs
    except ModuleNotFoundError as error:
        raise ConfigError(f"{DRILLS_MISSING} ({error})") from None


def _row(each: "Experiment") -> dict[str, object]:
    return {
        "name": each.name,
        "title": each.title,
        "tier": each.tier,
        "covers": list(each.covers),
        "needs": list(each.needs),
        "missing": each.missing,
        "fast": each.fast,
    }
