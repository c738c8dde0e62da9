"""From settings to an Enricher."""

from zoneinfo import ZoneInfo

from daemon.enrich.agent import Agents
from daemon.enrich.enricher import Enricher
from daemon.enrich.geo import GeoIp
from privacy.keyring import Keyring
from privacy.seal import Sealer
from runtime.settings import Settings


def make_enricher(settings: Settings, keyring: Keyring, places: GeoIp) -> Enricher:
    """The enricher of one process."""
    return Enricher(
        sealer=Sealer(keyring),
        places=places,
        agents=Agents(remembered=16_384),
        zone=ZoneInfo(settings.timezone),
    )
