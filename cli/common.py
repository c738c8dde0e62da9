"""What every command needs: settings, output as text or JSON, coroutines run to their end.

Libraries that not every command needs are imported where they are used: whoever lists links does not wait for Redis's.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import typer

from backends.sql.engine import Engine, make_engine
from backends.sql.links import SqlCatalog
from domain.clock import SystemClock
from domain.errors import ConfigError
from domain.observations import Silent
from privacy.secret_file import private_text
from runtime.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from backends.build import Stores

T = TypeVar("T")
HANDS = "hands"
CLOCK = SystemClock()
PATIENCE = 5.0
LARGEST_SECRET = 65_536
# The answer is no; wrong usage or configuration; a store or the registry cannot be reached.
EXIT_FAILED, EXIT_CONFIG, EXIT_STORE = 1, 2, 3
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def console() -> "Console":
    """Standard output, with colours where it is a terminal."""
    from rich.console import Console

    return Console(highlight=False)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(work)


def show(value: Any, *, as_json: bool, text: str) -> None:
    """The value as JSON, or the text."""
    print(json.dumps(value, indent=2, ensure_ascii=False) if as_json else text)


def show_table(headings: list[str], rows: list[list[str]], *, empty: str) -> None:
    """A table; a sentence instead of an empty one."""
    if not rows:
        print(empty)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(Text, row))  # what stands in brackets is text, not markup
    console().print(table)


def read_secret(source: str, what: str) -> str:
    """A secret that is no argument, as everybody sees those: of a file that its owner alone may read, or for `-` of standard
    input, which a terminal does not show. `what` it is, in words.
    """
    if source != "-":
        return private_text(Path(source), f"the file of the {what}")
    return (
        getpass(f"{what[:1].upper()}{what[1:]}: ") if sys.stdin.isatty() else sys.stdin.read(LARGEST_SECRET)
    )


def local_time(at_ms: int | None, given: Settings) -> str:
    """A time as the operator's clock shows it, with the name of its zone; `-` for none."""
    if at_ms is None:
        return "-"
    return f"{datetime.fromtimestamp(at_ms / 1000, ZoneInfo(given.timezone)):%Y-%m-%d %H:%M:%S} ({given.timezone})"


def duration_ms(text: str) -> int:
    """Milliseconds of `90m`, `24h` or `7d`, of at most six digits; ConfigError for anything else."""
    units = {"m": "minutes", "h": "hours", "d": "days"}
    if not text[:-1].isdecimal() or text[-1:] not in units or len(text) > 7:
        raise ConfigError(f"not a duration: {text!r}. Write 90m, 24h or 7d")
    return int(timedelta(**{units[text[-1]]: int(text[:-1])}).total_seconds() * 1000)


@asynccontextmanager
async def sql_of(settings: Settings) -> AsyncIterator[Engine]:
    """SQL, closed afterwards."""
    settings.home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = make_engine(settings.sql, patience=PATIENCE)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def catalog_of(settings: Settings) -> AsyncIterator[SqlCatalog]:
    """The catalog in SQL."""
    async with sql_of(settings) as engine:
        yield SqlCatalog(engine, CLOCK)


@asynccontextmanager
async def stores_of(settings: Settings) -> AsyncIterator["Stores"]:
    """All stores, as a process beside the daemon: the daemon's spool to look into, and its own for a start, if need be."""
    from backends.build import open_stores
    from privacy.keyring import Keyring

    keyring = Keyring(settings.secrets, CLOCK)
    stores = open_stores(settings, CLOCK, Silent(), name=HANDS, person_key=keyring.person_key)
    await stores.open()
    try:
        yield stores
    finally:
        await stores.close()


def settings() -> Settings:
    """The settings in force."""
    return beside_up(load_settings())


def beside_up(given: Settings) -> Settings:
    """Beside a `trilha up` without a Redis of its own, Redis is the embedded Valkey."""
    embedded = given.home_dir.absolute() / "run" / "valkey.sock"
    if given.redis_url or not embedded.is_socket():
        return given
    return given.model_copy(update={"redis_url": f"unix://{embedded}"})
