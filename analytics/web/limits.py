"""Limits: how long whoever failed must wait before the next try. In memory, so a restart forgives."""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

FREE_TRIES = 5
LONGEST_WAIT = 900.0
FORGIVEN_AFTER = 3600.0
MOST_KEYS = 20_000


@dataclass(slots=True)
class _Tries:
    count: int
    last: float


class Limits:
    """Five tries are free; then each costs a wait of 2, 4, 8 … seconds, 15 minutes at most. An hour without a try forgives."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def begin(self, now: float, *keys: str) -> float:
        """0, and a try is counted for each key: of a name, of an address. Else the seconds to wait, and nothing is counted."""
        wait = max(self._wait(now, key) for key in keys)
        if wait <= 0:
            for key in keys:
                self._count(now, key)
        return max(wait, 0.0)

    def succeed(self, *keys: str) -> None:
        """They are forgiven."""
        for key in keys:
            self._tries.pop(key, None)

    def _wait(self, now: float, key: str) -> float:
        tries = self._tries.get(key)
        if tries is None or now - tries.last > FORGIVEN_AFTER or tries.count < FREE_TRIES:
            return 0.0
        owed = min(2.0 ** min(tries.count - FREE_TRIES + 1, 20), LONGEST_WAIT)
        return tries.last + owed - now

    def _count(self, now: float, key: str) -> None:
        tries = self._tries.pop(key, None)
        fresh = tries is None or now - tries.last > FORGIVEN_AFTER
        self._tries[key] = _Tries(1 if tries is None or fresh else tries.count + 1, now)
        if len(self._tries) > MOST_KEYS:
            self._tries.popitem(last=False)


def address_key(address: str | None) -> str:
    """What tries of an address count for: an IPv6 customer has a whole /64."""
    if address is None:
        return "address:-"
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        return f"address:{int(found) >> 64:x}"
    return f"address:{found}"
