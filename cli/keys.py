"""trilha keys: the key ring and the API keys."""

import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Annotated

import typer

from backends.sql.engine import make_engine
from backends.sql.keys import SqlKeys
from cli.common import CLOCK, PATIENCE, Json, run, settings, show, show_table
from domain.clock import iso
from domain.errors import ConfigError, StoreError
from domain.keys import SharedKey
from privacy.api_keys import api_key_names, make_api_key, revoke_api_key
from privacy.keyring import Keyring, current_period
from privacy.keys import MAC_IDS, PERIOD_MS
from privacy.sharing import Sharing
from runtime.settings import Settings

MINUTE_MS = 60_000
keys = typer.Typer(
    help="The key ring (sealing, pseudonyms, tokens) and the keys of the API.", no_args_is_help=True
)


@asynccontextmanager
async def shared_keys_of(given: Settings) -> AsyncIterator[SqlKeys]:
    """The keys that nodes share, in SQL."""
    given.home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = make_engine(given.sql, patience=PATIENCE)
    try:
        yield SqlKeys(engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _sharing(given: Settings, ring: Keyring) -> AsyncIterator[Sharing]:
    async with shared_keys_of(given) as table:
        yield Sharing(ring, table, CLOCK)


@keys.command()
def create() -> None:
    """Make the key ring. Back it up apart from the data: without it nothing sealed can be opened."""
    path = settings().secrets
    Keyring.create(path, CLOCK)
    print(f"made {path} (0600). Keep a copy of it apart from the data")


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """Which keys there are, where, and until when; never a key itself."""
    given = settings()
    ring = Keyring(given.secrets, CLOCK)
    try:
        rows = run(_rows(given))
    except StoreError as error:
        print(f"SQL is not shown: {error}", file=sys.stderr)
        rows = None
    found = ring.describe() | {
        "mac": _mac_lines(ring, rows),
        "days": _day_lines(ring, rows, given.sealed_days),
        "sql_masters": None if rows is None else sorted({row.master for row in rows if row.wrapped}),
    }
    show(found, as_json=as_json, text=_as_text(found))


async def _rows(given: Settings) -> list[SharedKey]:
    async with shared_keys_of(given) as table:
        return list(await table.rows())


def _mac_lines(ring: Keyring, rows: list[SharedKey] | None) -> list[dict[str, object]]:
    in_sql = {row.number for row in rows or () if row.kind == "mac" and row.wrapped}
    minting = ring.keys.minting(CLOCK.now_ms())
    return [
        {
            "key_id": number % MAC_IDS,
            "mints_from": iso(mac.active_ms) if mac.active_ms else None,
            "state": "mints" if number == minting else "announced" if number > minting else "verifies",
            "in_sql": None if rows is None else number in in_sql,
        }
        for number, mac in sorted(ring.keys.mac.items())
    ]


def _day_lines(ring: Keyring, rows: list[SharedKey] | None, sealed_days: int) -> list[dict[str, object]]:
    """Days in the ring or in SQL; `destroyed_on` is the first moment at which the worker destroys them."""
    in_sql = {row.number for row in rows or () if row.kind == "period" and row.wrapped and not row.copy}
    today = current_period(CLOCK)
    return [
        {
            "period": number,
            "day": _day(number),
            "in_ring": number in ring.keys.periods,
            "in_sql": None if rows is None else number in in_sql,
            "alternates": len(ring.keys.periods[number].alternates) if number in ring.keys.periods else 0,
            "destroyed_on": _day(number + sealed_days + 1),
            "due": number + sealed_days < today,
        }
        for number in sorted({*ring.keys.periods, *in_sql})
    ]


def _as_text(found: dict[str, object]) -> str:
    return "\n".join(
        f"{name}:\n" + "\n".join(f"  {_in_words(item)}" for item in value)
        if isinstance(value, list) and value and isinstance(value[0], dict)
        else f"{name}: {value}"
        for name, value in found.items()
    )


def _in_words(item: dict[str, object]) -> str:
    return "  ".join(f"{name} {_word(value)}" for name, value in item.items())


def _word(value: object) -> str:
    return (
        {True: "yes", False: "no", None: "-"}.get(value, "") if isinstance(value, bool | None) else str(value)
    )


@keys.command()
def export() -> None:
    """Print the whole ring, to be piped into `trilha keys import` on another node. Refuses a terminal: it is secret."""
    if sys.stdout.isatty():
        raise ConfigError("this prints every key. Pipe it: trilha keys export | ssh NODE trilha keys import")
    print(Keyring(settings().secrets, CLOCK).export())


@keys.command("import")
def import_ring() -> None:
    """Take over an exported ring from standard input: all of it where there is none, what is new where there is one."""
    given = settings()
    ring = Keyring.imported(given.secrets, CLOCK, sys.stdin.read())
    print(f"{given.secrets} has masters {', '.join(master.id for master in ring.keys.masters)}")


@keys.command()
def destroy(
    before: Annotated[str | None, typer.Option(help="A UTC day, such as 2026-01-31; it stays.")] = None,
    older_than_days: Annotated[
        int | None, typer.Option(min=0, help="Days that ended more than so many days ago.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Even today's and later ones.")] = False,
) -> None:
    """Destroy period keys, for good: what was sealed on those days can be opened nowhere, in no backup either."""
    given = settings()
    first = _first_kept(before, older_than_days)
    if first > current_period(CLOCK) and not force:
        raise ConfigError(
            "that includes today: clicks would be kept without pseudonym and without sealed data until its end. --force"
        )
    ring = Keyring(given.secrets, CLOCK)
    ring.destroy_before(first)
    print(f"this ring has no key of a day before {_day(ring.keys.horizon)}")
    run(_exchange(given, ring))
    print("SQL has none either; other nodes follow within a minute")


def _first_kept(before: str | None, older_than_days: int | None) -> int:
    if (before is None) == (older_than_days is None):
        raise ConfigError("give either --before DATE or --older-than-days N")
    if before is None:
        return current_period(CLOCK) - (older_than_days or 0)
    try:
        return (date.fromisoformat(before) - date(1970, 1, 1)).days
    except ValueError:
        raise ConfigError("--before takes a day such as 2026-01-31") from None


async def _exchange(given: Settings, ring: Keyring) -> None:
    async with _sharing(given, ring) as sharing:
        if (await sharing.exchange()).foreign:
            raise ConfigError(
                "SQL has keys under another master: see `trilha doctor`. Nothing was changed there"
            )


@keys.command()
def rotate_mac(
    after_minutes: Annotated[
        int, typer.Option(min=0, max=10_080, help="When the new key mints: every node must have it by then.")
    ] = 60,
    force: Annotated[
        bool, typer.Option("--force", help="Even if that ends tokens that are still valid.")
    ] = False,
) -> None:
    """Announce a new MAC key. Tokens of the key before it stay valid; a second rotation ends them."""
    given = settings()
    ring = Keyring(given.secrets, CLOCK)

    async def rotate() -> int:
        async with _sharing(given, ring) as sharing:
            return await sharing.rotate_mac(
                window_days=given.attribution_days, after_ms=after_minutes * MINUTE_MS, force=force
            )

    number = run(rotate())
    print(
        f"MAC key {number % MAC_IDS} mints from {iso(ring.keys.mac[number].active_ms)} on; nodes verify with it within a minute"
    )


@keys.command()
def rotate_period() -> None:
    """Other keys for the days to come, when those provisioned ahead may be known to somebody. Today's stays."""
    given = settings()

    async def rotate() -> int:
        async with _sharing(given, Keyring(given.secrets, CLOCK)) as sharing:
            return await sharing.rotate_periods()

    print(f"new keys from {_day(run(rotate()))} on; nodes take them within a minute")


@keys.command()
def rotate_master(
    prepare: Annotated[bool, typer.Option("--prepare", help="Only make it; nothing is wrapped yet.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Only forget the older one in this ring.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Put this ring's keys in place of those it cannot unwrap.")
    ] = False,
) -> None:
    """Wrap what SQL has under a new master. Several nodes: --prepare, export and import, then this, then --finish."""
    given = settings()
    ring = Keyring(given.secrets, CLOCK)
    if prepare:
        ring.prepare_master()
        print(f"master {ring.keys.masters[-1].id} is ready. Import this ring on every node before you go on")
        return

    async def rotate() -> None:
        async with _sharing(given, ring) as sharing:
            await (sharing.finish_master() if finish else sharing.rotate_master(force=force))

    run(rotate())
    print(f"wrapping with master {ring.keys.master_id}; this ring has {len(ring.keys.masters)}")


@keys.command()
def api(name: Annotated[str, typer.Argument(help="Who uses it, such as `shop-bot`.")]) -> None:
    """Make an API key. It is printed once; only its hash is kept."""
    print(make_api_key(settings().api_keys, name))


@keys.command("api-list")
def list_api_keys(as_json: Json = False) -> None:
    """Whose API keys there are; never a key itself."""
    names = Counter(api_key_names(settings().api_keys))
    found = [{"name": name, "keys": number} for name, number in names.items()]
    rows = [[name, str(number)] for name, number in names.items()]
    if as_json:
        show(found, as_json=True, text="")
    else:
        show_table(["name", "keys"], rows, empty="no API key yet. Make one: trilha keys api NAME")


@keys.command("api-revoke")
def revoke(name: Annotated[str, typer.Argument(help="Whose keys.")]) -> None:
    """End every API key of that name. Running daemons follow within seconds."""
    gone = revoke_api_key(settings().api_keys, name)
    print(f"{gone} key{'' if gone == 1 else 's'} of {name} opened the API until now")


def _day(number: int) -> str:
    return datetime.fromtimestamp(number * PERIOD_MS / 1000, UTC).strftime("%Y-%m-%d")
