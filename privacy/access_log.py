"""The access log of Marco Civil (Lei 12.965/2014, art. 15): date, time and address of every access, secret, six months.

A store of its own, off by default: nothing else reads it, and it is kept under keys that are not in the key ring. A folder
of ours alone holds one file a UTC day, to which batches are appended:

    bytes 0-7    a mark
    bytes 8-11   length of the rest, big-endian
    bytes 12-23  nonce
    the rest     AES-256-GCM under the key of the day, with the day authenticated: for each access its click id (16
                 bytes, a UUIDv7, which is the time too) and its address (16 bytes, IPv4 mapped into IPv6)

A batch that was settled twice stands in it twice, and is read once: the click id says so. What a crash left half-written
stays where it is, and reading goes on at the next mark; its batch is settled again. Appending does not wait for the disk: a
power cut may take the accesses of the last seconds, a crash of the process none.
"""

import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from mmap import ACCESS_READ, mmap
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from struct import Struct
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.click import Click
from domain.clock import Clock
from domain.errors import ConfigError, StoreUnavailable
from domain.ids import random_nonce, uuid7_ms
from privacy.day_keys import DayKeys
from privacy.keyring import PERIOD_MS, current_period
from privacy.seal import Original

KEEP_DAYS = 184  # the longest six months, such as from 1 July to 1 January
MAX_BATCH = 65_536
_MARK = b"\x9dtrilha\x1a"
_LENGTH = Struct(">I")
_HEAD = len(_MARK) + _LENGTH.size
_NONCE, _TAG, _RECORD = 12, 16, 32
_MAPPED = b"\0" * 10 + b"\xff\xff"
_PURPOSE = b"trilha access log 1 "
_FILE = re.compile(r"(\d{4}-\d\d-\d\d)\.log", re.ASCII)
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One access: a click, and the address it came from."""

    click_id: UUID
    ip: str = field(repr=False)

    @property
    def at_ms(self) -> int:
        """UTC milliseconds since the epoch."""
        return uuid7_ms(self.click_id)


def accesses(clicks: Iterable[Click], opened: Callable[[bytes, UUID], Original | None]) -> list[Access]:
    """The accesses of clicks whose sealed original can be opened and names an address; `opened` is `Sealer.open`."""
    found = []
    for click in clicks:
        original = opened(click.sealed, click.id) if click.sealed else None
        if original is not None and _is_address(original.ip):
            found.append(Access(click_id=click.id, ip=original.ip))
    return found


class AccessLog:
    """Appends, reads and destroys. Raises ConfigError when folder, files or keys are not as they must be, and
    StoreUnavailable when the disk does not do it. One may be used by one thread at a time; several processes may write.
    """

    def __init__(self, folder: Path, key_file: Path, clock: Clock) -> None:
        self._folder = folder
        self._keys = DayKeys(key_file)
        self._clock = clock

    def append(self, records: Sequence[Access]) -> int:
        """Write them, each into the file of its day; the number written. A day that is over its time is not begun again."""
        first = self._first_kept(KEEP_DAYS)
        days: dict[int, list[Access]] = {}
        for record in records:
            day = record.at_ms // PERIOD_MS
            if day >= first:
                days.setdefault(day, []).append(record)
        for day, held in days.items():
            key = self._keys.get_or_make(day)
            for at in range(0, len(held), MAX_BATCH):
                self._append(day, _sealed(held[at : at + MAX_BATCH], key, day))
        return sum(map(len, days.values()))

    def read(self, since_ms: int, until_ms: int) -> Iterator[Access]:
        """The accesses from `since_ms` on and before `until_ms`, by time, each once. ConfigError, after all that can be
        read, when some cannot: their key is gone or another's, or the file was altered.
        """
        unreadable = 0
        for day in self._days():
            if day * PERIOD_MS < until_ms and (day + 1) * PERIOD_MS > since_ms:
                found, bad = self._read_day(day)
                unreadable += bad
                for raw in sorted(found):
                    access = Access(click_id=UUID(bytes=raw), ip=_address(found[raw]))
                    if since_ms <= access.at_ms < until_ms:
                        yield access
        if unreadable:
            raise ConfigError(
                f"{unreadable} batches of the access log cannot be read: their keys are gone, or they were altered"
            )

    def expire(self, keep_days: int = KEEP_DAYS) -> int:
        """Destroy the days before the last `keep_days`, keys first; the number of days that went."""
        first = self._first_kept(keep_days)
        gone = {*self._keys.destroy_before(first)}
        for day in self._days():
            if day < first:
                self._path(day).unlink(missing_ok=True)
                gone.add(day)
        return len(gone)

    def describe(self) -> dict[str, object]:
        """What there is, without any of it: `unreadable_days` have a file and no key."""
        days, keys = self._days(), self._keys.days()
        return {
            "days": len(days),
            "first_day": _name(days[0]) if days else None,
            "last_day": _name(days[-1]) if days else None,
            "bytes": sum(self._path(day).stat().st_size for day in days),
            "unreadable_days": [_name(day) for day in days if day not in keys],
            "overdue_days": [_name(day) for day in days if day < self._first_kept(KEEP_DAYS)],
        }

    def check(self) -> None:
        """ConfigError or StoreUnavailable unless it could be appended to now. Makes the folder."""
        with self._alone():
            self._keys.get_or_make(current_period(self._clock))

    def _first_kept(self, keep_days: int) -> int:
        return current_period(self._clock) - keep_days

    def _path(self, day: int) -> Path:
        return self._folder / f"{_name(day)}.log"

    def _days(self) -> list[int]:
        if not self._folder.exists():
            return []
        _checked_folder(self._folder)
        found = (_FILE.fullmatch(path.name) for path in self._folder.iterdir())
        return sorted((date.fromisoformat(name[1]) - _EPOCH).days for name in found if name)

    def _append(self, day: int, frame: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with self._alone(), _opened(self._path(day), flags) as handle:
            while frame:
                frame = frame[os.write(handle, frame) :]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """With the folder's lock, so that no other process appends meanwhile."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _checked_folder(self._folder)
            with (self._folder / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise StoreUnavailable(f"the access log cannot be written: {error.strerror}") from error

    def _read_day(self, day: int) -> tuple[Mapping[bytes, bytes], int]:
        """Addresses by click id, and the number of whole batches that cannot be read."""
        key, found, bad = self._keys.get(day), dict[bytes, bytes](), 0
        with _mapped(self._path(day)) as data:
            for body in _batches(data):
                plain = _open(body, key, day)
                bad += plain is None
                for at in range(0, len(plain or b""), _RECORD):
                    piece = (plain or b"")[at : at + _RECORD]
                    found.setdefault(piece[:16], piece[16:])
        return found, bad


def _sealed(records: Sequence[Access], key: bytes, day: int) -> bytes:
    plain = b"".join(record.click_id.bytes + _packed(record.ip) for record in records)
    nonce = random_nonce()
    body = nonce + AESGCM(key).encrypt(nonce, plain, _PURPOSE + _LENGTH.pack(day))
    return _MARK + _LENGTH.pack(len(body)) + body


def _open(body: bytes, key: bytes | None, day: int) -> bytes | None:
    if key is None:
        return None
    try:
        return AESGCM(key).decrypt(body[:_NONCE], body[_NONCE:], _PURPOSE + _LENGTH.pack(day))
    except InvalidTag:
        return None


def _batches(data: bytes | mmap) -> Iterator[bytes]:
    """The batches that are whole: as long as they say, with no other one beginning inside."""
    at = data.find(_MARK)
    while at >= 0:
        body_at = at + _HEAD
        length = _LENGTH.unpack(data[body_at - _LENGTH.size : body_at])[0] if body_at <= len(data) else 0
        following = data.find(_MARK, at + 1)
        end = len(data) if following < 0 else following
        if _plausible(length) and body_at + length <= end:
            yield data[body_at : body_at + length]
        at = following


def _plausible(length: int) -> bool:
    records = length - _NONCE - _TAG
    return 0 < records <= MAX_BATCH * _RECORD and records % _RECORD == 0


@contextmanager
def _mapped(path: Path) -> Iterator[bytes | mmap]:
    with _opened(path, os.O_RDONLY) as handle:
        if os.fstat(handle).st_size == 0:
            yield b""
            return
        with mmap(handle, 0, access=ACCESS_READ) as data:
            yield data


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A day's file, 0600. ConfigError when it is open to others; StoreUnavailable when it is a link, or cannot be opened."""
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be opened: {error.strerror}") from error
    try:
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
            raise ConfigError(f"{path} is open to others. Mend it with: chmod 600 {path}")
        yield handle
    finally:
        os.close(handle)


def _checked_folder(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigError(f"{folder} must be a folder of this user's, not a link or another's")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(f"{folder} is open to others. Mend it with: chmod 700 {folder}")


def _is_address(ip: str) -> bool:
    try:
        _packed(ip)
    except (OSError, ValueError):
        return False
    return True


def _packed(ip: str) -> bytes:
    return inet_pton(AF_INET6, ip) if ":" in ip else _MAPPED + inet_pton(AF_INET, ip)


def _address(raw: bytes) -> str:
    return inet_ntop(AF_INET, raw[12:]) if raw.startswith(_MAPPED) else inet_ntop(AF_INET6, raw)


def _name(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
