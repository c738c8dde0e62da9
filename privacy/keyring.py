"""The key ring: what one process knows of the ring's file (privacy/keyfile.py), ready for use by requests.

Period keys are random, not derived: destroying one makes what it sealed unreadable for good, in every store and
backup. Nodes share them through SQL (privacy/sharing.py); the file is each node's copy, to start and to go on from.
"""

import hmac
from collections.abc import Callable, Sequence
from pathlib import Path

from domain.clock import Clock
from domain.errors import ConfigError
from domain.keys import SharedKey
from privacy.keyfile import decode, encode, locked, read, write
from privacy.keys import MAC_IDS, PERIOD_MS, PROVISION_AHEAD, Keys, PeriodKeys
from privacy.mac import Mac
from privacy.master import derive
from privacy.secret_file import Stamp, stamp
from privacy.shared_keys import Merged, merged

__all__ = ["PERIOD_MS", "PROVISION_AHEAD", "Keyring", "Keys", "PeriodKeys", "current_period"]
PERSON_KEY_BYTES = 16


class Keyring:
    """The ring as one process sees it. Reads the file again when another process has changed it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        # Before the file is read: a change in between is then seen by the next refresh.
        seen = stamp(path)
        self._macs: dict[bytes, Mac] = {}
        self._take(read(path), seen)

    @classmethod
    def create(cls, path: Path, clock: Clock) -> "Keyring":
        """Make the file, 0600 in a 0700 folder. ConfigError when one is there: keys are never overwritten."""
        _create(path, Keys.fresh(current_period(clock)))
        return cls(path, clock)

    @classmethod
    def made_of(cls, path: Path, clock: Clock, keys: Keys) -> "Keyring":
        """Make the file of those keys, 0600 in a 0700 folder. ConfigError when one is there."""
        _create(path, keys)
        return cls(path, clock)

    @classmethod
    def imported(cls, path: Path, clock: Clock, text: str) -> "Keyring":
        """The ring, with what the exported copy has beyond it; made of the copy where there is none yet.

        ConfigError when the text is no ring, or one of another installation. What either has destroyed stays so.
        """
        given = decode(text)
        if given is None:
            raise ConfigError("this is no exported key ring")
        if not path.exists():
            _create(path, given)
            return cls(path, clock)
        ring = cls(path, clock)
        ring._change(lambda keys: keys.joined(given))
        return ring

    def export(self) -> str:
        """All of the ring, as text, to be imported on another node. Whoever has it has every key."""
        return encode(self._keys)

    # ------------------------------------------------------------ what requests use

    def mac_key(self) -> tuple[int, bytes]:
        """Id and key that mint."""
        return self._minting

    def mac_key_by_id(self, key_id: int) -> bytes | None:
        """A key that verifies, or None."""
        return self._verifying.get(key_id)

    def lookup_key(self) -> bytes:
        """The lasting key of the fbclid digest. No rotation changes it."""
        return self._keys.lasting

    def person_key(self, telegram_id: int) -> bytes:
        """16 bytes of HMAC-SHA-256 over a Telegram id under a lasting key of its own: who was erased, without the id."""
        message = telegram_id.to_bytes(8, "big", signed=True)
        return hmac.digest(derive(self._keys.lasting, b"person"), message, "sha256")[:PERSON_KEY_BYTES]

    def archive_key(self, telegram_id: int) -> bytes:
        """As `person_key`, of another lasting key: what the archive calls a person, if it is to tell them apart."""
        message = telegram_id.to_bytes(8, "big", signed=True)
        return hmac.digest(derive(self._keys.lasting, b"archive"), message, "sha256")[:PERSON_KEY_BYTES]

    def import_key(self) -> bytes:
        """What the ids of imported clicks are made with: a lasting key of its own, so that a row is the same click always."""
        return derive(self._keys.lasting, b"imports")

    def bot_token_key(self) -> bytes:
        """What bot tokens are sealed under: a lasting key of its own, so that no rotation loses one."""
        return derive(self._keys.lasting, b"bot tokens")

    def destination_key(self) -> bytes:
        """What the secrets of destinations (pixels, webhooks) are sealed under: a lasting key of its own."""
        return derive(self._keys.lasting, b"destinations")

    def external_id(self, telegram_id: int) -> str:
        """What Meta is told for a person, the same in every event: 64 hexadecimal digits of HMAC-SHA-256 over the Telegram
        id under a lasting key of its own. Nobody finds the id in it by trying them all.
        """
        message = telegram_id.to_bytes(8, "big", signed=True)
        return hmac.digest(derive(self._keys.lasting, b"external id"), message, "sha256").hex()

    def mac(self, key: bytes) -> Mac:
        """HMAC-SHA-256 under a key of this ring, prepared once and forgotten when the ring changes."""
        mac = self._macs.get(key)
        if mac is None:
            mac = self._macs[key] = Mac(key)
        return mac

    def period_keys(self, period: int) -> PeriodKeys | None:
        """The keys of that UTC day (days since the epoch), or None when they never were or are destroyed."""
        return self._keys.periods.get(period)

    # ------------------------------------------------------------ in the background

    @property
    def keys(self) -> Keys:
        """All that the ring holds at this moment."""
        return self._keys

    def refresh(self) -> None:
        """Take over what other processes wrote. Makes keys of its own only for today and tomorrow, if nobody has.

        Called in the background, not by requests.
        """
        self._follow()
        today = current_period(self._clock)
        if self._keys.provisioned(today, today + 1) is not self._keys:
            self._change(lambda keys: keys.provisioned(today, today + 1))
        self._choose()

    def merge(self, rows: Sequence[SharedKey]) -> Merged:
        """Take over what SQL has, and say what SQL lacks (privacy/shared_keys.py)."""
        self._follow()
        now_ms = self._clock.now_ms()
        found = merged(self._keys, rows, now_ms=now_ms)
        if found.keys != self._keys:
            self._change(lambda keys: merged(keys, rows, now_ms=now_ms).keys)
        self._choose()
        return found

    def destroy_before(self, period: int) -> int:
        """Destroy the keys of every day before that one, here; how many. `Sharing` carries it into SQL. There is no way back."""
        self._follow()
        gone = sum(1 for number in self._keys.periods if number < period)
        if period > self._keys.horizon:
            self._change(lambda keys: keys.destroyed(period))
        return gone

    def rotate_mac(self, *, window_days: int, after_ms: int = 0, force: bool = False) -> None:
        """Mint with a new key `after_ms` from now; tokens of the key before it stay valid, older ones do not.

        ConfigError while tokens of the older key may still be redeemed, unless `force`: then they are refused.
        For a ring that no other node shares: `Sharing.rotate_mac` tells the others first.
        """
        now_ms = self._clock.now_ms()
        self._change(
            lambda keys: keys.with_next_mac(now_ms, window_days=window_days, after_ms=after_ms, force=force)
        )

    def prepare_master(self) -> None:
        """Have a new master beside the one that wraps."""
        self._change(Keys.prepared)

    def wrap_with_newest_master(self) -> None:
        """Wrap with the newest master of this ring."""
        self._change(lambda keys: keys.wrapping_with(keys.masters[-1].id))

    def forget_older_masters(self) -> None:
        """Keep the master that wraps, and none before it."""
        self._change(Keys.without_older_masters)

    def periods(self) -> list[int]:
        """The UTC days (since the epoch) that have keys, oldest first."""
        return sorted(self._keys.periods)

    def describe(self) -> dict[str, object]:
        """What keys there are, without any key."""
        keys = self._keys
        return {
            "mac_key_ids": sorted(self._verifying),
            "mac_current": self._minting[0],
            "periods": sorted(keys.periods),
            "current_period": current_period(self._clock),
            "destroyed_before": keys.horizon,
            "masters": [master.id for master in keys.masters],
            "master_current": keys.master_id,
        }

    def _follow(self) -> None:
        seen = stamp(self._path)
        if seen != self._stamp:
            self._take(read(self._path), seen)

    def _change(self, change: Callable[[Keys], Keys]) -> None:
        with locked(self._path):
            before = read(self._path)
            keys = change(before)
            if keys != before:
                write(self._path, keys)
            self._take(keys, stamp(self._path))

    def _take(self, keys: Keys, seen: Stamp) -> None:
        self._keys, self._stamp = keys, seen
        self._verifying = {number % MAC_IDS: mac.key for number, mac in keys.mac.items()}
        self._macs = {}
        self._choose()

    def _choose(self) -> None:
        """Which MAC key mints: the clock is asked in the background, not at every click."""
        number = self._keys.minting(self._clock.now_ms())
        self._minting = number % MAC_IDS, self._keys.mac[number].key


def current_period(clock: Clock) -> int:
    """UTC days since the epoch."""
    return clock.now_ms() // PERIOD_MS


def _create(path: Path, keys: Keys) -> None:
    for folder in reversed((path.parent, *path.parent.parents)):
        folder.mkdir(
            mode=0o700, exist_ok=True
        )  # each that is made: `parents=True` would leave the home open to others
    with locked(path):
        if path.exists():
            raise ConfigError(f"{path} exists already; a key ring is never overwritten")
        write(path, keys)
