"""trilha privacy retention: what has had its time, and ending it now."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer

from backends.sql.engine import make_engine
from backends.sql.retention import MANY, Waiting
from cli.common import CLOCK, PATIENCE, Json, local_time, run, settings, show, show_table
from cli.hands import Hands
from daemon.retention import COUNTS, Done, Due, Retention
from domain.clock import iso
from privacy.keyring import Keyring
from privacy.retention import ALERT_DAYS, ASIDE_DAYS
from runtime.settings import Settings

Now = Annotated[bool, typer.Option("--now", help="Do what is due, as `trilha work` does every few minutes.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what is due, which is also the default.")]
_HEADINGS = ["data", "kept for", "due", "oldest", "done"]


def retention(now: Now = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """What has had its time; with `--now`, end it. Exits 3 when a store cannot be reached, 1 when a part failed."""
    given = settings()
    due, done = run(_look_and_do(given, do=now and not dry_run))
    if as_json:
        show(_json(due, done), as_json=True, text="")
    else:
        show_table(_HEADINGS, _rows(given, due, done), empty="")
    if done is not None and done.failed:
        raise typer.Exit(1)


@asynccontextmanager
async def retention_of(given: Settings) -> AsyncIterator[Retention]:
    """Retention as the worker does it, beside the worker."""
    given.home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = make_engine(given.sql, patience=PATIENCE)
    try:
        yield Hands.over(given, engine, None, Keyring(given.secrets, CLOCK)).retention()
    finally:
        await engine.dispose()


async def _look_and_do(given: Settings, *, do: bool) -> tuple[Due, Done | None]:
    async with retention_of(given) as work:
        return await work.due(), await work.pass_() if do else None


def _json(due: Due, done: Done | None) -> dict[str, Any]:
    waiting = {
        name: {"rows": rows, "oldest": iso(oldest) if oldest is not None else None}
        for name, (rows, oldest) in ((name, value.values()) for name, value in asdict(due).items())
    }
    return {"due": waiting, "done": None if done is None else asdict(done)}


def _rows(given: Settings, due: Due, done: Done | None) -> list[list[str]]:
    sealed, kept = f"{given.sealed_days} days", f"{given.click_days} days"

    def row(name: str, life: str, waiting: Waiting | None, *counts: str) -> list[str]:
        many = "" if waiting is None else f"{waiting.rows}+" if waiting.rows >= MANY else str(waiting.rows)
        oldest = "" if waiting is None or waiting.oldest_ms is None else local_time(waiting.oldest_ms, given)
        return [name, life, many, oldest, "" if done is None else _did(done, counts)]

    return [
        row("originals", sealed, due.originals, "originals"),
        row("digests in conversions", sealed, due.digests, "digests"),
        row("keys of days", sealed, None, "keys"),
        row("clicks, with starts and events", kept, due.clicks, "clicks", "starts", "events"),
        row("starts without a click", kept, due.starts),  # done: counted with the others
        row("conversions without a click", kept, due.events),  # likewise
        row("people of bots, since their last start", kept, due.bot_users, "bot_users"),
        row("books", kept, None, "figures"),
        row("who was erased", kept, None, "erasures"),
        row("sessions of the dashboard", "7 days", None, "sessions"),
        row("alerts, since they were over", f"{ALERT_DAYS} days", None, "alerts"),
        row("records set aside", f"{ASIDE_DAYS} days", due.files, "files"),
    ]


def _did(done: Done, counts: tuple[str, ...]) -> str:
    return ", ".join(f"{getattr(done, name)} {name}" for name in COUNTS if name in counts)
