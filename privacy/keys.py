"""Keys: what a ring holds, as a value, and what may become of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from domain.clock import iso
from domain.errors import ConfigError
from domain.ids import random_key
from privacy.master import Master

PERIOD_MS = 86_400_000
PROVISION_AHEAD = 7
MAC_IDS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodKeys:
    """The keys of one UTC day: one seals, one makes visitor keys.

    `alternates` only open: what this or another node sealed with while SQL was away and a different key was there.
    """

    seal: bytes = field(repr=False)
    visitor: bytes = field(repr=False)
    alternates: tuple[bytes, ...] = field(repr=False, default=())

    @classmethod
    def fresh(cls) -> "PeriodKeys":
        """Two new random keys."""
        return cls(seal=random_key(), visitor=random_key())

    def opening_too(self, *seals: bytes) -> "PeriodKeys":
        """These keys, which open what those sealed as well."""
        new = sorted({*self.alternates, *seals} - {self.seal})
        return self if tuple(new) == self.alternates else replace(self, alternates=tuple(new))


@dataclass(frozen=True, slots=True, kw_only=True)
class MacKey:
    """A key that verifies, and mints from `active_ms` (UTC milliseconds; 0: since ever) until the next one does."""

    key: bytes = field(repr=False)
    active_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All keys. `masters`: two at most, by generation; `master_id` names the one that wraps.

    `lasting` outlives every rotation: look-ups by fbclid and tombstones of people hang on it. Days below `horizon` are
    destroyed, or never were: no key for them is ever made or taken over.
    """

    masters: tuple[Master, ...]
    master_id: str
    lasting: bytes = field(repr=False)
    mac: Mapping[int, MacKey]
    periods: Mapping[int, PeriodKeys] = field(default_factory=dict)
    horizon: int

    @classmethod
    def fresh(cls, period: int) -> "Keys":
        """A new ring: a master, one MAC key, the keys of that day and the next seven."""
        master = Master.fresh(generation=0, day=period)
        empty = cls(
            masters=(master,),
            master_id=master.id,
            lasting=random_key(),
            mac={0: MacKey(key=random_key())},
            horizon=period,
        )
        return empty.provisioned(period, period + PROVISION_AHEAD)

    @property
    def master(self) -> Master:
        """The one that wraps."""
        return self.master_of(self.master_id) or self.masters[-1]

    def provisioned(self, first: int, last: int) -> "Keys":
        """With keys for these days; those that are there stay, those that are destroyed stay destroyed."""
        wanted = range(max(first, self.horizon), last + 1)
        fresh = {number: PeriodKeys.fresh() for number in wanted if number not in self.periods}
        return replace(self, periods={**self.periods, **fresh}) if fresh else self

    def destroyed(self, before: int) -> "Keys":
        """Without the keys of the days before that one, and without the means to unwrap them again."""
        if before <= self.horizon:
            return self
        return replace(
            self,
            horizon=before,
            periods={number: pair for number, pair in self.periods.items() if number >= before},
            masters=tuple(master.at(before) for master in self.masters),
        )

    # ------------------------------------------------------------ MAC keys

    def minting(self, now_ms: int) -> int:
        """The number of the MAC key that mints: the newest whose time has come."""
        active = [number for number, key in self.mac.items() if key.active_ms <= now_ms]
        return max(active, default=min(self.mac))

    def settled_macs(self, now_ms: int) -> "Keys":
        """With the key that mints, the one before it, and those that are announced; older ones are gone."""
        minting = self.minting(now_ms)
        oldest = max((number for number in self.mac if number < minting), default=minting)
        kept = {number: key for number, key in self.mac.items() if number >= oldest}
        return replace(self, mac=kept) if len(kept) < len(self.mac) else self

    def with_next_mac(
        self, now_ms: int, *, window_days: int, after_ms: int = 0, force: bool = False
    ) -> "Keys":
        """With one more MAC key, which mints `after_ms` from now.

        ConfigError while a key is announced that does not mint yet; and while tokens that this would end may still be
        redeemed, unless `force`.
        """
        newest = max(self.mac)
        active_ms = self.mac[newest].active_ms
        if active_ms > now_ms:
            raise ConfigError(f"a rotation is under way: the new key mints from {iso(active_ms)} on")
        live_until = active_ms + window_days * PERIOD_MS
        if len(self.mac) > 1 and now_ms < live_until and not force:
            raise ConfigError(
                f"tokens of the older key are valid until {iso(live_until)}. Wait, or end them at once with --force"
            )
        new = MacKey(key=random_key(), active_ms=now_ms + after_ms)
        return replace(self, mac={**self.mac, newest + 1: new}).settled_macs(now_ms)

    # ------------------------------------------------------------ masters

    def master_of(self, name: str) -> Master | None:
        """The master of that id, if this ring has it."""
        return next((master for master in self.masters if master.id == name), None)

    def prepared(self) -> "Keys":
        """With a master that does not wrap yet, beside the one that does; the ring itself if there is one already."""
        if self.masters[-1].generation > self.master.generation:
            return self
        new = Master.fresh(generation=self.master.generation + 1, day=self.horizon)
        return replace(self, masters=(self.master, new))

    def wrapping_with(self, name: str) -> "Keys":
        """Wrapping with that master from now on."""
        return self if name == self.master_id else replace(self, master_id=name)

    def without_older_masters(self) -> "Keys":
        """Without the masters before the one that wraps."""
        kept = tuple(m for m in self.masters if m.generation >= self.master.generation)
        return self if len(kept) == len(self.masters) else replace(self, masters=kept)

    # ------------------------------------------------------------ another copy

    def joined(self, other: "Keys") -> "Keys":
        """With what another copy of this ring has beyond it. What either has destroyed stays destroyed.

        ConfigError when the other is no copy of this ring.
        """
        if other.lasting != self.lasting:
            raise ConfigError(
                "this is a ring of another installation: the two do not share their lasting secret"
            )
        horizon = max(self.horizon, other.horizon)
        ours, theirs = self.destroyed(horizon), other.destroyed(horizon)
        masters = {m.id: m for m in (*theirs.masters, *ours.masters)}
        newest = sorted(masters.values(), key=lambda m: m.generation)[-2:]
        if len({m.generation for m in newest}) < len(newest):
            raise ConfigError(
                "both rings have made a new master. Prepare it on one node, and import it on the others"
            )
        current = max((ours.master, theirs.master), key=lambda m: m.generation)
        periods = dict(theirs.periods)
        for number, pair in ours.periods.items():
            other_pair = theirs.periods.get(number, pair)
            periods[number] = pair.opening_too(other_pair.seal, *other_pair.alternates)
        return replace(
            ours,
            masters=tuple(newest),
            master_id=current.id,
            mac={**theirs.mac, **ours.mac},
            periods=periods,
        )
