"""trilha drill: break things on purpose, and prove that nothing is lost."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.common import Json
from domain.errors import ConfigError

if TYPE_CHECKING:
    from chaos.catalogue import Experiment

drill = typer.Typer(
    help="Chaos drills on servers that are started for them, on this machine.", no_args_is_help=True
)
DRILLS_MISSING = (
    "drills need a checkout and the chaos extra: pip install 'trilha[chaos,postgres,redis-embedded,bot]'"
)
Report = Annotated[Path | None, typer.Option(help="Folder for report.html and report.json.", file_okay=False)]


@drill.command("list")
def list_drills(as_json: Json = False) -> None:
    """Every drill: what it breaks, which faults of the matrix it covers, and what it needs."""
    found = _experiments()
    if as_json:
        print(json.dumps([_row(each) for each in found], indent=2, ensure_ascii=False))
        return
    for each in found:
        print(f"{each.name:32} {each.title}" + (f"  ({'; '.join(each.missing)})" if each.missing else ""))


@drill.command()
def run(
    names: Annotated[list[str], typer.Argument(help="Names of drills; see `trilha drill list`.")],
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Run some drills. Exits 1 when a promise is broken or a drill could not be carried out."""
    called = _catalogue().experiment_called
    _run([called(name) for name in names], report, as_json=as_json)


@drill.command("all")
def run_all(
    report: Report = None,
    fast: Annotated[bool, typer.Option("--fast", help="Only the subset that CI runs.")] = False,
    as_json: Json = False,
) -> None:
    """Run every drill. Exits 1 when a promise is broken or a drill could not be carried out."""
    _run([each for each in _experiments() if each.fast or not fast], report, as_json=as_json)


def _run(wanted: "list[Experiment]", folder: Path | None, *, as_json: bool) -> None:
    from chaos.run import run_drills

    class Plain:
        """x."""

        def started(self, name: str, number: int, total: int) -> None:
            """x."""
            print(f"[{number}/{total}] {name}", file=sys.stderr, flush=True)

        def said(self, text: str) -> None:
            """x."""
            print(f"    {text}", file=sys.stderr, flush=True)

        def ended(self, drill: dict[str, Any]) -> None:
            """x."""
            print(f"  {drill['verdict']} {'; '.join(drill['reasons'])}", file=sys.stderr, flush=True)

    found = run_drills(wanted, Plain())
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(found, indent=1, ensure_ascii=False))
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    sys.exit(0 if found["verdict"] == "held" else 1)


def _catalogue() -> Any:
    try:
        from chaos import catalogue
    except ModuleNotFoundError as error:
        raise ConfigError(f"{DRILLS_MISSING} ({error})") from None
    return catalogue


def _experiments() -> "list[Experiment]":
    found: list[Experiment] = _catalogue().experiments()
    return found


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
