"""trilha rescore: classes and scores of past clicks, made anew."""

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from backends.sql.engine import make_engine
from backends.sql.scoring import SqlScoring
from cli.common import CLOCK, PATIENCE, Json, duration_ms, run, settings, show
from daemon.enrich.build import make_enricher
from daemon.enrich.geo import GeoIp
from daemon.scoring import Rescored, Scoring
from privacy.keyring import Keyring
from runtime.settings import Settings


def rescore(
    since: Annotated[str, typer.Option("--since", help="How far back: 90m, 24h, 7d.")] = "7d",
    as_json: Json = False,
) -> None:
    """Class and score past clicks anew, after a new GeoIP database or a new version of Trilha.

    Place, agent and class are read from the original, as long as it can be opened (TRILHA_SEALED_DAYS); of older clicks
    only the scores are made anew. No answer to a visitor depends on it, and running it twice changes nothing.
    """
    given = settings()
    done = run(_rescore(given, max(0, CLOCK.now_ms() - duration_ms(since))))
    show(_value(done), as_json=as_json, text=_text(done))


async def _rescore(given: Settings, since_ms: int) -> Rescored:
    engine = make_engine(given.sql, patience=PATIENCE)
    places = await asyncio.to_thread(GeoIp, given.geoip)
    scoring = Scoring(
        SqlScoring(engine), make_enricher(given, Keyring(given.secrets, CLOCK), places).of, CLOCK
    )
    columns = (SpinnerColumn(), TextColumn("{task.completed} clicks, {task.fields[changed]} changed"))
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=None, changed=0)
            return await scoring.again(
                since_ms, lambda done: progress.update(task, completed=done.clicks, changed=done.changed)
            )
    finally:
        await engine.dispose()


def _value(done: Rescored) -> dict[str, Any]:
    moved = [{"from": was, "to": now, "clicks": number} for (was, now), number in sorted(_moves(done))]
    return {"clicks": done.clicks, "changed": done.changed, "moved": moved}


def _moves(done: Rescored) -> list[tuple[tuple[str, str], int]]:
    return [((was or "none", now), number) for (was, now), number in done.moved.items()]


def _text(done: Rescored) -> str:
    if not done.clicks:
        return "no clicks since then"
    lines = [f"clicks scored: {done.clicks}, changed: {done.changed}"]
    lines += [f"  {was} -> {now}: {number}" for (was, now), number in sorted(_moves(done))]
    return "\n".join(lines)
