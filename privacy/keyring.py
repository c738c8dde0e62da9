"""The key ring: a 0600 JSON file with the master secret, two MAC keys and one pair of keys per UTC day.

Period keys are random, not derived: destroying one makes what it sealed unreadable for good, in every store and
backup. They are provisioned ahead, so that a request finds its key in memory.
"""

import base64
import binascii
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.clock import Clock, iso
from domain.errors import ConfigError
from domain.ids import random_key
from privacy.mac import Mac

PERIOD_MS = 86_400_000
PROVISION_AHEAD = 7
KEY_BYTES = 32
PERSON_KEY_BYTES = 16
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodKeys:
    """The keys of one UTC day: one seals, one makes visitor keys."""

    seal: bytes = field(repr=False)
    visitor: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> "PeriodKeys":
        """Two new random keys."""
        return cls(seal=random_key(), visitor=random_key())


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What the file holds. `mac_current` mints; every key in `mac` (two at most) verifies.

    `mac_since_ms`: when the current one was made, UTC milliseconds; 0 for the first.
    """

    master: bytes = field(repr=False)
    mac: Mapping[int, bytes] = field(repr=False)
    mac_current: int
    mac_since_ms: int = 0
    periods: Mapping[int, PeriodKeys] = field(repr=False, default_factory=dict)

    @classmethod
    def fresh(cls) -> "Keys":
        """A new ring: new master, one MAC key, no period yet."""
        return cls(master=random_key(), mac={0: random_key()}, mac_current=0)

    def rotated_mac(self, now_ms: int) -> "Keys":
        """A ring that mints with a new MAC key and still verifies the one before it."""
        new = (self.mac_current + 1) % 16
        kept = {self.mac_current: self.mac[self.mac_current], new: random_key()}
        return replace(self, mac=kept, mac_current=new, mac_since_ms=now_ms)

    def provisioned(self, period: int) -> "Keys":
        """A ring with keys for this period and the next ones."""
        wanted = range(period, period + PROVISION_AHEAD + 1)
        fresh = {number: PeriodKeys.fresh() for number in wanted if number not in self.periods}
        return replace(self, periods={**self.periods, **fresh}) if fresh else self


class Keyring:
    """The ring as one process sees it. Reads the file again when another process has changed it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        # Before the file is read: a change in between is then seen by the next refresh.
        self._stamp = _stamp(path)
        self._keys = _read(path)
        self._lookup_key = _derive(self._keys.master, b"fbclid look-up")
        self._macs: dict[bytes, Mac] = {}

    @classmethod
    def create(cls, path: Path, clock: Clock) -> "Keyring":
        """Make the file, 0600 in a 0700 folder. ConfigError when one is there: keys are never overwritten."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path):
            if path.exists():
                msg = f"{path} exists already; a key ring is never overwritten"
                raise ConfigError(msg)
            _write(path, Keys.fresh().provisioned(current_period(clock)))
        return cls(path, clock)

    def mac_key(self) -> tuple[int, bytes]:
        """Id and key that mint."""
        keys = self._keys
        return keys.mac_current, keys.mac[keys.mac_current]

    def mac_key_by_id(self, key_id: int) -> bytes | None:
        """A key that still verifies, or None."""
        return self._keys.mac.get(key_id)

    def lookup_key(self) -> bytes:
        """The lasting key of the fbclid digest, derived from the master secret (HKDF-SHA-256)."""
        return self._lookup_key

    def person_key(self, telegram_id: int) -> bytes:
        """16 bytes of HMAC-SHA-256 over a Telegram id under a lasting key of its own: who was erased, without the id."""
        key = _derive(self._keys.master, b"person")
        return self.mac(key).of(str(telegram_id).encode())[:PERSON_KEY_BYTES]

    def mac(self, key: bytes) -> Mac:
        """HMAC-SHA-256 under a key of this ring, prepared once and forgotten when the ring changes."""
        mac = self._macs.get(key)
        if mac is None:
            mac = self._macs[key] = Mac(key)
        return mac

    def period_keys(self, period: int) -> PeriodKeys | None:
        """The keys of that UTC day (days since the epoch), or None when they never were or are destroyed."""
        return self._keys.periods.get(period)

    def refresh(self) -> None:
        """Take over what other processes wrote, and provision keys ahead. Called in the background, not by requests."""
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._take(_read(self._path), stamp)
        if self.period_keys(current_period(self._clock) + PROVISION_AHEAD) is None:
            self._change(lambda keys: keys.provisioned(current_period(self._clock)))

    def rotate_mac(self, *, window_days: int, force: bool = False) -> None:
        """Mint with a new key from now on; tokens of the key before it stay valid, older ones do not.

        ConfigError while tokens of the older key may still be redeemed, unless `force`: then they are refused.
        """
        now = self._clock.now_ms()
        live_until = self._keys.mac_since_ms + window_days * PERIOD_MS
        if len(self._keys.mac) > 1 and now < live_until and not force:
            raise ConfigError(
                f"tokens of the older key are valid until {iso(live_until)}. Wait, or end them at once with --force"
            )
        self._change(lambda keys: keys.rotated_mac(now))

    def periods(self) -> list[int]:
        """The UTC days (since the epoch) that have keys, oldest first."""
        return sorted(self._keys.periods)

    def describe(self) -> dict[str, object]:
        """What keys there are, without any key."""
        keys = self._keys
        return {
            "mac_key_ids": sorted(keys.mac),
            "mac_current": keys.mac_current,
            "periods": sorted(keys.periods),
            "current_period": current_period(self._clock),
        }

    def _change(self, change: Callable[[Keys], Keys]) -> None:
        with _locked(self._path):
            keys = change(_read(self._path))
            _write(self._path, keys)
            self._take(keys, _stamp(self._path))

    def _take(self, keys: Keys, stamp: tuple[int, int]) -> None:
        self._keys, self._stamp = keys, stamp
        self._macs = {}


def current_period(clock: Clock) -> int:
    """UTC days since the epoch."""
    return clock.now_ms() // PERIOD_MS


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"trilha " + purpose).derive(master)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _stamp(path: Path) -> tuple[int, int]:
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_ino
    return 0, 0


def _write(path: Path, keys: Keys) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(_to_json(keys), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read(path: Path) -> Keys:
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except FileNotFoundError:
        msg = f"no key ring at {path}. Make one with: trilha keys create (or let `trilha up` make it)"
        raise ConfigError(msg) from None
    except OSError as error:
        msg = f"the key ring {path} cannot be read: {error.strerror}"
        raise ConfigError(msg) from None
    if stat.S_IMODE(mode) & 0o077:
        msg = f"the key ring {path} can be read by others. Mend it with: chmod 600 {path}"
        raise ConfigError(msg)
    try:
        return _from_json(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        msg = f"the key ring {path} is damaged. Restore it from a backup; a new one cannot read what the old one sealed"
        raise ConfigError(msg) from None


def _to_json(keys: Keys) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "master": _text(keys.master),
        "mac": {
            "current": keys.mac_current,
            "since_ms": keys.mac_since_ms,
            "keys": {str(i): _text(k) for i, k in keys.mac.items()},
        },
        "periods": {
            str(number): {"seal": _text(pair.seal), "visitor": _text(pair.visitor)}
            for number, pair in sorted(keys.periods.items())
        },
    }


def _from_json(data: Any) -> Keys:
    if data["format"] != FORMAT:
        raise ValueError
    mac = {int(i): _bytes(k) for i, k in data["mac"]["keys"].items()}
    current = data["mac"]["current"]
    if current not in mac or not all(0 <= number < 16 for number in mac):
        raise KeyError
    periods = {
        int(number): PeriodKeys(seal=_bytes(pair["seal"]), visitor=_bytes(pair["visitor"]))
        for number, pair in data["periods"].items()
    }
    since = data["mac"].get("since_ms", 0)
    return Keys(
        master=_bytes(data["master"]), mac=mac, mac_current=current, mac_since_ms=since, periods=periods
    )


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def _bytes(text: str) -> bytes:
    """A key written with or without its `=`; anything but 32 bytes is refused (a key that lost its end is no key)."""
    try:
        key = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError from error
    if len(key) != KEY_BYTES:
        raise ValueError
    return key
