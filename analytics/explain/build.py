"""From settings and stores to the gathering: the same for the API, the command and the dashboard."""

from zoneinfo import ZoneInfo

from analytics.explain.facts import Rules
from analytics.explain.gather import Gathering, Names
from analytics.inspect import Inspect
from backends.build import Stores, local_spools
from backends.sql.trace import SqlTraces
from domain.clock import Clock
from domain.outcomes import Durability
from privacy.keyring import Keyring
from privacy.seal import Sealer
from privacy.token import Minter
from runtime.settings import Settings


def make_gathering(
    settings: Settings, stores: Stores, *, keyring: Keyring, names: Names, clock: Clock
) -> Gathering:
    """Asks these stores, and the spools of this machine. Connects to nothing yet."""
    minter = Minter(keyring, clock, node=settings.node, attribution_days=settings.attribution_days)
    return Gathering(
        clicks=Inspect(
            minter=minter,
            locator=stores.chain,
            ledger=stores.ledger,
            links=names,
            ads=stores.catalog,
            spool_durability=Durability.SYNCED if settings.spool_sync == "full" else Durability.WRITTEN,
        ),
        faults=minter,
        traces=SqlTraces(stores.engine, keyring.person_key),
        spools=local_spools(settings),
        names=names,
        originals=Sealer(keyring),
        rules=Rules(
            zone=ZoneInfo(settings.timezone),
            honour_gpc=settings.honour_gpc,
            sealed_days=settings.sealed_days,
            attribution_days=settings.attribution_days,
        ),
        clock=clock,
    )
