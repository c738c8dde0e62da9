"""SlotMap: which node of a cluster has which of the 16,384 slots, as CLUSTER SLOTS says it."""

from dataclasses import dataclass
from typing import Any

from redis.crc import key_slot

from backends.redis_line import Reply
from backends.redis_topology import PROBE_KEY
from backends.redis_url import Address
from domain.errors import StoreUnavailable

SLOTS = 16_384
# Enough for every node whose share of the slots is a thousandth and more; one with less is not probed.
TRIES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotMap:
    """`masters` by slot, None for a slot that nobody serves; `replicas` by master; `trials`: a key for each master."""

    masters: tuple[Address | None, ...]
    replicas: dict[Address, tuple[Address, ...]]
    trials: dict[Address, str]

    def master_of(self, key: bytes) -> Address | None:
        """Who has the key."""
        return self.masters[key_slot(key)]


def slot_map(reply: Reply, asked: Address) -> SlotMap:
    """Of what `asked` has answered. StoreUnavailable when that is no map, or one without a slot."""
    masters: list[Address | None] = [None] * SLOTS
    replicas: dict[Address, tuple[Address, ...]] = {}
    try:
        for entry in reply if isinstance(reply, list) else ():
            first, last, master, *others = entry
            node = _address(master, asked)
            masters[first : last + 1] = [node] * (last + 1 - first)
            replicas[node] = tuple(_address(other, asked) for other in others)
    except (ValueError, TypeError, IndexError, AttributeError):
        raise StoreUnavailable("a node of Redis gave a map of the cluster that cannot be read") from None
    if not replicas or len(masters) != SLOTS:
        raise StoreUnavailable("a node of Redis knows of no cluster yet")
    return SlotMap(masters=tuple(masters), replicas=replicas, trials=_trials(masters, len(replicas)))


def _address(node: Any, asked: Address) -> Address:
    """A node that does not know how it is called is the one that was asked."""
    host, port = node[:2]
    name = host.decode() if isinstance(host, bytes) else ""
    return Address(host=asked.host if name in ("", "?") else name, port=int(port))


def _trials(masters: list[Address | None], wanted: int) -> dict[Address, str]:
    found: dict[Address, str] = {}
    for number in range(TRIES):
        key = f"{PROBE_KEY}:{number}"
        node = masters[key_slot(key.encode())]
        if node is not None:
            found.setdefault(node, key)
        if len(found) == wanted:
            break
    return found
