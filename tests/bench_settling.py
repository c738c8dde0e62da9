"""What a click costs to settle, without and with what is added to it: `python -m tests.bench_settling`.

CPU and wall time of this process on SQLite below --dir, of spooled clicks of real shape: user agents of the labelled
set, addresses all over, fbclids and campaigns. With the GeoIP databases in --geoip (a folder), if there are any.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from backends.codec import encode
from backends.spool import spools_under
from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.migrate import migrate
from daemon.enrich.build import make_enricher
from daemon.enrich.geo import GeoIp
from daemon.settle import Settler
from domain.click import Ad, Click, Visit
from domain.clock import SystemClock
from domain.enrichment import Enrichment
from domain.ids import ClickIds
from privacy.keyring import Keyring
from privacy.pseudonymise import Pseudonymiser
from privacy.seal import Sealer
from privacy.token import ad_key
from runtime.settings import Settings, load_settings
from tests.making import make_spool, person_key, spool_beside

CLOCK = SystemClock()
BATCH = 2000
AGENTS = Path(__file__).parent / "data" / "user_agents.txt"
PLAIN, KNOWN, NEW = "nothing added", "enriched", "enriched, every agent a new one"
Enrich = Callable[[Sequence[Click]], Mapping[UUID, Enrichment]]


def clicks(ring: Keyring, number: int, *, new: bool) -> list[Click]:
    """Clicks of the last second, an address each: the agents in turn or, as `new`, each one never seen before."""
    dice = random.Random(7)
    agents = [line for line in AGENTS.read_text().splitlines() if line and not line.startswith("#")]
    maker, ids, now = Pseudonymiser(ring, Sealer(ring)), ClickIds(), CLOCK.now_ms()
    said = [agents[n % len(agents)] + (f" Build/{n}" if new else "") for n in range(number)]
    return [_click(maker, ids.new(now), agent, dice, now) for agent in said]


def _click(maker: Pseudonymiser, click_id: UUID, agent: str, dice: random.Random, now: int) -> Click:
    params = {"utm_source": "fb", "utm_campaign": f"BLACK {dice.randrange(20)}", "utm_medium": "adset"}
    visit = Visit(
        method="GET",
        at_ms=now,
        ip=".".join(str(dice.randrange(1, 224)) for _ in range(4)),
        user_agent=agent,
        fbclid="".join(dice.choices("abcdefghijklmnopqrstuvwxyzABCDEFGH0123456789_-", k=120)),
        fbc_cookie="",
        fbp_cookie=f"fb.1.{now}.{dice.randrange(10**10)}",
        referer="https://l.facebook.com/",
        language="pt-BR,pt;q=0.9",
        prefetch="",
        params=params,
        ad=Ad.of(params),
    )
    return maker.click(visit, click_id=click_id, link_id=1, node=0, ad_key=ad_key(visit.ad))


async def settled(folder: Path, ring: Keyring, batch: list[Click], enrich: Enrich) -> tuple[float, float]:
    """CPU and wall seconds to settle them all."""
    spool = make_spool(folder / "spool" / "bench", boot="bench")
    for at in range(0, len(batch), 64):
        spool.append([(click, encode(click)) for click in batch[at : at + 64]])
    spool.close()
    engine = make_engine(f"sqlite+aiosqlite:///{folder / 'bench.db'}", patience=30)
    await migrate(engine)
    settler = Settler(
        folders=lambda: spools_under(folder / "spool"),
        open_spool=spool_beside,
        ledger=SqlLedger(engine, person_key),
        enrich=enrich,
        clock=CLOCK,
        batch=BATCH,
    )
    cpu, wall = time.process_time(), time.monotonic()
    await settler.drain()
    took = time.process_time() - cpu, time.monotonic() - wall
    await settler.close()
    await engine.dispose()
    return took


async def rounds(
    root: Path, settings: Settings, number: int, times: int
) -> dict[str, list[tuple[float, float]]]:
    ring = Keyring.create(root / "keyring.json", CLOCK)
    places = GeoIp(settings.geoip)
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in (PLAIN, KNOWN, NEW)}
    for turn in range(times):
        for name, pairs in took.items():
            folder = root / f"{[*took].index(name)}-{turn}"
            folder.mkdir()
            enricher = make_enricher(settings, ring, places)
            enrich: Enrich = (lambda _: {}) if name == PLAIN else enricher.settled
            pairs.append(await settled(folder, ring, clicks(ring, number, new=name == NEW), enrich))
    return took


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--clicks", type=int, default=20_000)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    asked.add_argument("--geoip", default="")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir) as root:
        environment = {"TRILHA_HOME_DIR": root, "TRILHA_GEOIP_PATHS": given.geoip}
        settings = load_settings(environment)
        took = asyncio.run(rounds(Path(root), settings, given.clicks, given.rounds))
    databases = ", ".join(item.name for item in GeoIp(settings.geoip).describe()) or "none"
    print(f"GeoIP databases: {databases}. Best of {given.rounds} rounds of {given.clicks} clicks.\n")
    print("| settled | CPU us a click | clicks/s of CPU | clicks/s of wall |")
    print("|---|---|---|---|")
    for name, pairs in took.items():
        cpu, wall = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
        print(
            f"| {name} | {cpu / given.clicks * 1e6:.0f} | {given.clicks / cpu:.0f} | {given.clicks / wall:.0f} |"
        )


if __name__ == "__main__":
    main()
