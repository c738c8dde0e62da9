"""trilha doctor: is everything as it must be, and how to mend what is not."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

import daemon
from analytics.finding import Finding
from backends.build import open_all_spools
from backends.folders import private_folder
from backends.spool import ASIDE
from cli.common import CLOCK, Json, catalog_of, run, settings, show
from cli.doctor_bots import bots
from cli.doctor_delivery import delivery
from cli.doctor_host import host
from cli.doctor_redis import redis
from cli.doctor_sql import sql, workers
from cli.geoip import NONE_YET, trouble
from cli.keys import shared_keys_of
from cli.retention import retention_of
from daemon.access import access_log_of
from daemon.enrich.geo import GeoIp
from daemon.retention import DAY_MS, Bounds, Due
from domain.errors import TrilhaError
from privacy.api_keys import ApiKeys
from privacy.keyring import Keyring, current_period
from privacy.shared_keys import merged
from runtime.settings import Settings

SECONDS = 5.0
_STYLE = {"ok": "green", "warning": "yellow", "failed": "red"}


Check = Callable[[Settings], Awaitable[Finding]]


def doctor(as_json: Json = False) -> None:
    """Check settings, keys and every store, and say how to mend each. Exits 1 when something has failed."""
    given = settings()
    findings = run(findings_of(given))
    if as_json:
        show([asdict(finding) for finding in findings], as_json=True, text="")
    else:
        _print(findings)
    if any(finding.verdict == "failed" for finding in findings):
        sys.exit(1)


async def findings_of(given: Settings) -> list[Finding]:
    """What was found, of every check in its turn."""
    return [await _checked(check, given) for check in _CHECKS]


async def _checked(check: Check, given: Settings) -> Finding:
    name = check.__name__.removeprefix("_").replace("_", " ")
    try:
        async with asyncio.timeout(SECONDS):
            return await check(given)
    except TrilhaError as error:
        return Finding(name, "failed", str(error))
    except TimeoutError:
        return Finding(name, "failed", f"no answer in {SECONDS:.0f} s")


OURS = Path(__file__).resolve().parents[1]
DAEMON = Path(daemon.__file__ or "").resolve().parents[1]


async def _program(_given: Settings) -> Finding:
    if DAEMON != OURS:
        return Finding(
            "program", "failed", f"the package `daemon` comes from {DAEMON}: give Trilha its own environment"
        )
    return Finding("program", "ok", f"Python {sys.version.split()[0]}")


async def _key_ring(given: Settings) -> Finding:
    ring = Keyring(given.secrets, CLOCK).describe()
    return Finding(
        "key ring", "ok", f"MAC keys {ring['mac_key_ids']}, today's period {ring['current_period']}"
    )


async def _shared_keys(given: Settings) -> Finding:
    ring = Keyring(given.secrets, CLOCK)
    async with shared_keys_of(given) as table:
        found = merged(ring.keys, await table.rows(), now_ms=CLOCK.now_ms())
    if found.foreign:
        detail = f"SQL has keys under another master ({', '.join(sorted(found.foreign))}). Mend it with: trilha keys import"
        return Finding("shared keys", "failed", detail)
    if found.unreadable:
        days = sorted(f"{row.kind} {row.number}" for row in found.unreadable)
        return Finding("shared keys", "failed", f"SQL's rows are altered or damaged: {', '.join(days)}")
    today = current_period(CLOCK)
    ahead = max((number for number in ring.keys.periods), default=today - 1) - today
    if not found.settled or found.keys != ring.keys:
        return Finding(
            "shared keys", "warning", f"ring and SQL differ, {ahead} days ahead. Is `trilha work` running?"
        )
    if (oldest := min(ring.keys.periods, default=today)) + given.sealed_days < today:
        return Finding(
            "shared keys", "warning", f"day {oldest} is to be destroyed. Is `trilha work` running?"
        )
    if len(ring.keys.masters) > 1:
        return Finding(
            "shared keys",
            "warning",
            "two masters. Once every node has both: trilha keys rotate-master"
            if ring.keys.masters[-1].id != ring.keys.master_id
            else "the older master is still here. Once every node wraps with the new one: trilha keys rotate-master --finish",
        )
    return Finding("shared keys", "ok", f"ring and SQL agree, {ahead} days ahead")


async def _api_keys(given: Settings) -> Finding:
    ApiKeys(given.api_keys)
    if not given.api_keys.exists():
        return Finding("api keys", "warning", "no API key yet. Make one: trilha keys api NAME")
    return Finding("api keys", "ok", str(given.api_keys))


async def _spool(given: Settings) -> Finding:
    private_folder(given.spools)
    spools = open_all_spools(given)
    waiting, volume = sum(len(spool) for spool in spools), sum(spool.volume() for spool in spools)
    for spool in spools:
        spool.close()
    aside = len([*(given.spools / ASIDE).glob("*.bin")])
    detail = f"{waiting} records wait, {volume / 1024**2:.1f} MiB of {given.spool_quota / 1024**2:.0f} MiB"
    if aside:
        return Finding(
            "spool", "warning", f"{detail}; {aside} records were set aside in {given.spools / ASIDE}"
        )
    if volume > given.spool_quota * 0.8:
        return Finding("spool", "warning", f"{detail}: nearly full. Is `trilha work` running?")
    return Finding("spool", "ok", detail)


async def _retention(given: Settings) -> Finding:
    async with retention_of(given) as work:
        late = overdue(await work.due(), Bounds.at(CLOCK.now_ms() - DAY_MS, given))
    if late:
        detail = f"{', '.join(late)}: overdue by more than a day. Is `trilha work` running?"
        return Finding("retention", "warning", f"{detail} End them now: trilha privacy retention --now")
    return Finding(
        "retention",
        "ok",
        f"originals {given.sealed_days} days, clicks {given.click_days} days; nothing overdue",
    )


def overdue(due: Due, bounds: Bounds) -> list[str]:
    """The names of what is due and was due before those bounds."""
    pairs = {
        "originals": (due.originals, bounds.originals_ms),
        "digests in conversions": (due.digests, bounds.originals_ms),
        "clicks": (due.clicks, bounds.clicks_ms),
        "starts": (due.starts, bounds.clicks_ms),
        "conversions": (due.events, bounds.clicks_ms),
        "people of bots": (due.bot_users, bounds.clicks_ms),
        "records set aside": (due.files, bounds.aside_ms),
    }
    return [
        name
        for name, (waiting, before_ms) in pairs.items()
        if waiting.oldest_ms is not None and waiting.oldest_ms < before_ms
    ]


async def _links(given: Settings) -> Finding:
    async with catalog_of(given) as catalog:
        found = await catalog.load()
    live = sum(link.live for link in found.links)
    if not live:
        return Finding("links", "warning", "no live link. Make one: trilha link add SLUG --bot BOT")
    return Finding("links", "ok", f"{live} live of {len(found.links)}, {len(found.bots)} bots")


async def _geoip(given: Settings) -> Finding:
    found = (await asyncio.to_thread(GeoIp, given.geoip)).describe()
    if not found:
        return Finding("geoip", "warning", NONE_YET)
    troubles = [f"{item.path.name}: {trouble(item)}" for item in found if trouble(item)]
    if troubles:
        return Finding("geoip", "warning", f"{'; '.join(troubles)}. See docs/how-to/geoip.md")
    return Finding("geoip", "ok", ", ".join(sorted({item.name for item in found})))


async def _access_log(given: Settings) -> Finding:
    if not given.access_log:
        return Finding("access log", "ok", "off")
    log = access_log_of(given, CLOCK)
    await asyncio.to_thread(log.check)
    found = await asyncio.to_thread(log.describe)
    for days in ("unreadable_days", "overdue_days"):
        if found[days]:
            return Finding("access log", "failed", f"{days.replace('_', ' ')}: {found[days]}")
    return Finding("access log", "ok", f"{found['days']} days")


_CHECKS: tuple[Check, ...] = (
    _program,
    host,
    _key_ring,
    _api_keys,
    sql,
    _shared_keys,
    workers,
    redis,
    _spool,
    _retention,
    _links,
    bots,
    delivery,
    _geoip,
    _access_log,
)


def _print(findings: list[Finding]) -> None:
    table = Table("check", "", "", box=None, pad_edge=False, header_style="bold")
    for finding in findings:
        style = _STYLE[finding.verdict]
        table.add_row(finding.check, Text(finding.verdict, style), Text(finding.detail))
    Console(highlight=False).print(table)
