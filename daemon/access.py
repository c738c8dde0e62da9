"""The access log of Marco Civil, kept as clicks are settled, by those who have turned it on."""

from collections.abc import Sequence

from domain.click import Click
from domain.clock import Clock
from domain.errors import ConfigError, StoreUnavailable
from privacy.access_log import AccessLog, accesses
from privacy.seal import Sealer
from runtime.logs import get_logger
from runtime.settings import Settings

_log = get_logger("trilha.access")


def access_log_of(settings: Settings, clock: Clock) -> AccessLog:
    """The access log in force. One belongs to one thread."""
    return AccessLog(settings.access_log_dir, settings.access_log_keys, clock)


class AccessKeeper:
    """Writes the accesses of clicks. All calls come from one thread."""

    def __init__(self, settings: Settings, sealer: Sealer, clock: Clock) -> None:
        self._access = access_log_of(settings, clock)
        self._sealer = sealer
        self._failing = False

    def keep(self, clicks: Sequence[Click]) -> None:
        """Write them. What cannot be written is lost to the access log, and said once: settling does not wait for it."""
        try:
            self._access.append(accesses(clicks, self._sealer.open))
        except (ConfigError, StoreUnavailable) as error:
            if not self._failing:
                _log.error("the access log cannot be written; accesses are missing in it", reason=str(error))
            self._failing = True
        else:
            self._failing = False
