"""What becomes of a ring and of SQL when the two meet. Pure: nothing is read or written here.

The rules, in their order:

1. Destroyed wins. A day that either side has destroyed is destroyed on both; an old backup of SQL brings nothing back.
2. Of two keys for one day, the one that SQL has is used; the other one only opens, on every node.
3. What only the ring has is offered to SQL. What neither has is made, offered, and used once SQL has said which won.
4. The newest master that SQL's rows name wraps; rows under an older one are wrapped anew.
5. Rows under a master that this ring lacks: nothing is offered, the ring goes on with what it has.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from domain.keys import KeyKind, SharedKey
from privacy.keys import PERIOD_MS, PROVISION_AHEAD, Keys, MacKey, PeriodKeys
from privacy.master import KEY_BYTES, derive

# No day further ahead than this is taken from SQL, whatever stands there.
_FURTHEST = 400
Place = tuple[KeyKind, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The ring as it is now, and what SQL has still to be told."""

    keys: Keys
    offers: tuple[SharedKey, ...] = ()
    rewrapped: tuple[tuple[SharedKey, SharedKey], ...] = ()
    destroy: tuple[tuple[KeyKind, int], ...] = ()
    foreign: frozenset[str] = frozenset()
    unreadable: tuple[SharedKey, ...] = ()

    @property
    def settled(self) -> bool:
        """True when SQL has nothing to be told."""
        return not (self.offers or self.rewrapped or self.destroy)


def merged(keys: Keys, rows: Sequence[SharedKey], *, now_ms: int) -> Merged:
    """The ring and SQL brought together, by the rules above."""
    today = now_ms // PERIOD_MS
    live = [row for row in rows if row.wrapped is not None]
    keys = keys.destroyed(min(_end_of_tombstones(rows, "period"), today + 1))
    foreign = frozenset(row.master for row in live if keys.master_of(row.master) is None)
    if foreign:
        return Merged(keys=keys, foreign=foreign)
    keys = keys.wrapping_with(_newest_master(keys, live))
    opened = dict(_opened(keys, live, today))
    keys = _with_periods(keys, opened, today)
    keys = _with_macs(keys, opened, _end_of_tombstones(rows, "mac")).settled_macs(now_ms)
    wanted = [*_of_ring(keys), *_made(keys, today)]
    there = {_place(row) for row in rows}
    stale = [row for row in live if row in opened and row.master != keys.master_id]
    return Merged(
        keys=keys,
        offers=tuple(_wrapped(keys, place, secret, now_ms) for place, secret in wanted if place not in there),
        rewrapped=tuple((row, keys.master.wrap(row, opened[row])) for row in stale),
        destroy=tuple(_to_destroy(keys, live)),
        unreadable=tuple(row for row in live if _is_kept(keys, row) and row not in opened),
    )


def copy_of(seal: bytes) -> int:
    """The number under which a key that only opens stands in SQL: the same wherever it is offered from, never 0."""
    return int.from_bytes(derive(seal, b"copy")[:4], "big") >> 2 | 1


def fresh_in_place_of(keys: Keys, row: SharedKey) -> SharedKey:
    """Another key for the day of that row, wrapped."""
    return keys.master.wrap(row, _joined(PeriodKeys.fresh()))


def offer_of_mac(keys: Keys, number: int, now_ms: int) -> SharedKey:
    """One of the ring's MAC keys, wrapped, for SQL."""
    return _wrapped(keys, ("mac", number, 0), keys.mac[number].key, now_ms)


def _place(row: SharedKey) -> Place:
    return row.kind, row.number, row.copy


def _end_of_tombstones(rows: Sequence[SharedKey], kind: KeyKind) -> int:
    return max((row.number + 1 for row in rows if row.kind == kind and row.wrapped is None), default=0)


def _newest_master(keys: Keys, live: Sequence[SharedKey]) -> str:
    named = {row.master for row in live} | {keys.master_id}
    return max((m for m in keys.masters if m.id in named), key=lambda m: m.generation).id


def _opened(keys: Keys, live: Sequence[SharedKey], today: int) -> Iterator[tuple[SharedKey, bytes]]:
    for row in live:
        master = keys.master_of(row.master)
        if (
            master is None
            or not _is_kept(keys, row)
            or (row.kind == "period" and row.number > today + _FURTHEST)
        ):
            continue
        secret = master.unwrap(row)
        if secret is not None and len(secret) == _length(row):
            yield row, secret


def _is_kept(keys: Keys, row: SharedKey) -> bool:
    return row.number >= (keys.horizon if row.kind == "period" else min(keys.mac))


def _length(row: SharedKey) -> int:
    return 2 * KEY_BYTES if row.kind == "period" and row.copy == 0 else KEY_BYTES


def _with_periods(keys: Keys, opened: Mapping[SharedKey, bytes], today: int) -> Keys:
    periods = dict(keys.periods)
    shared = [(row, secret) for row, secret in opened.items() if row.kind == "period"]
    for row, secret in shared:
        if row.copy == 0:
            periods[row.number] = _used(periods.get(row.number), secret, past=row.number <= today)
    for row, secret in shared:
        if row.copy and row.number in periods:
            periods[row.number] = periods[row.number].opening_too(secret)
    return replace(keys, periods=periods) if periods != keys.periods else keys


def _used(ours: PeriodKeys | None, secret: bytes, *, past: bool) -> PeriodKeys:
    """SQL's pair. Ours has sealed nothing yet when its day has not begun: then it is let go."""
    theirs = PeriodKeys(seal=secret[:KEY_BYTES], visitor=secret[KEY_BYTES:])
    if ours is None:
        return theirs
    if ours.seal == theirs.seal:
        return replace(ours, visitor=theirs.visitor)
    return theirs.opening_too(*ours.alternates, *([ours.seal] if past else []))


def _with_macs(keys: Keys, opened: Mapping[SharedKey, bytes], end_of_tombstones: int) -> Keys:
    mac = {number: key for number, key in keys.mac.items() if number >= end_of_tombstones}
    mac |= {
        row.number: MacKey(key=secret, active_ms=row.active_ms or 0)
        for row, secret in opened.items()
        if row.kind == "mac" and row.number >= end_of_tombstones
    }
    return replace(keys, mac=mac) if mac and mac != keys.mac else keys


def _of_ring(keys: Keys) -> Iterator[tuple[Place, bytes]]:
    for number, pair in keys.periods.items():
        yield ("period", number, 0), _joined(pair)
        for seal in pair.alternates:
            yield ("period", number, copy_of(seal)), seal
    for number, mac in keys.mac.items():
        yield ("mac", number, 0), mac.key


def _made(keys: Keys, today: int) -> Iterator[tuple[Place, bytes]]:
    """New keys for the days to come that have none. Not in the ring yet: another node's may be first."""
    for number in range(max(today, keys.horizon), today + PROVISION_AHEAD + 1):
        if number not in keys.periods:
            yield ("period", number, 0), _joined(PeriodKeys.fresh())


def _wrapped(keys: Keys, place: Place, secret: bytes, now_ms: int) -> SharedKey:
    kind, number, copy = place
    active_ms = keys.mac[number].active_ms if kind == "mac" else None
    row = SharedKey(
        kind=kind, number=number, copy=copy, master=keys.master_id, created_ms=now_ms, active_ms=active_ms
    )
    return keys.master.wrap(row, secret)


def _joined(pair: PeriodKeys) -> bytes:
    return pair.seal + pair.visitor


def _to_destroy(keys: Keys, live: Sequence[SharedKey]) -> Iterator[tuple[KeyKind, int]]:
    if any(row.kind == "period" and not _is_kept(keys, row) for row in live):
        yield "period", keys.horizon
    if any(row.kind == "mac" and not _is_kept(keys, row) for row in live):
        yield "mac", min(keys.mac)
