"""The key ring as a file: JSON, 0600 in a 0700 folder. Format 2 is written; format 1 is read, and becomes 2."""

import base64
import binascii
import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from domain.errors import ConfigError
from privacy.keys import MAC_IDS, Keys, MacKey, PeriodKeys
from privacy.master import KEY_BYTES, Master, derive
from privacy.secret_file import alone, replace_text, stamp

FORMAT = 2
# 2026-01-01: where a ring of format 1 without any period begins.
_FIRST_DAY = 20_454


class _Damaged(ValueError):
    """Not a ring."""


def encode(keys: Keys) -> str:
    """The file's text."""
    return json.dumps(_to_json(keys), indent=1)


def decode(text: str) -> Keys | None:
    """What a ring's text holds, or None when it is no ring."""
    try:
        data = json.loads(text)
        return _from_format_1(data) if data["format"] == 1 else _from_json(data)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the only one on this machine that changes the file. ConfigError when it cannot be changed."""
    try:
        with alone(path):
            yield
    except OSError as error:
        raise ConfigError(f"the key ring {path} cannot be written: {error.strerror}") from None


def write(path: Path, keys: Keys) -> None:
    """Put the ring in the file's place."""
    replace_text(path, encode(keys))


def read(path: Path) -> Keys:
    """The ring, or ConfigError that says how to mend it."""
    while True:
        seen = stamp(path)
        keys = decode(_text_of(path))
        if keys is not None:
            return keys
        # Replaced while it was read: what was read may have been overwritten already.
        if stamp(path) == seen:
            raise ConfigError(
                f"the key ring {path} is damaged. Restore it from a backup; a new one cannot read what the old one sealed"
            )


def _text_of(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except FileNotFoundError:
        raise ConfigError(
            f"no key ring at {path}. Make one with: trilha keys create (or let `trilha up` make it)"
        ) from None
    except OSError as error:
        raise ConfigError(f"the key ring {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        return ""
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"the key ring {path} can be read by others. Mend it with: chmod 600 {path}")
    return text


def _to_json(keys: Keys) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "horizon": keys.horizon,
        "lasting": _text(keys.lasting),
        "master": keys.master_id,
        "masters": [
            {
                "id": master.id,
                "generation": master.generation,
                "fixed": _text(master.fixed),
                "chain": _text(master.chain),
                "day": master.day,
            }
            for master in keys.masters
        ],
        "mac": {
            "keys": {str(number): _text(mac.key) for number, mac in sorted(keys.mac.items())},
            "active_ms": {str(number): mac.active_ms for number, mac in sorted(keys.mac.items())},
        },
        "periods": {str(number): _period(pair) for number, pair in sorted(keys.periods.items())},
    }


def _period(pair: PeriodKeys) -> dict[str, Any]:
    said: dict[str, Any] = {"seal": _text(pair.seal), "visitor": _text(pair.visitor)}
    return said | ({"alternates": [_text(key) for key in pair.alternates]} if pair.alternates else {})


def _from_json(data: Any) -> Keys:
    if data["format"] != FORMAT:
        raise _Damaged
    since = data["mac"]["active_ms"]
    keys = Keys(
        masters=tuple(_master(item) for item in data["masters"]),
        master_id=data["master"],
        lasting=_bytes(data["lasting"]),
        mac={
            int(n): MacKey(key=_bytes(key), active_ms=int(since[n])) for n, key in data["mac"]["keys"].items()
        },
        periods=_periods(data),
        horizon=int(data["horizon"]),
    )
    if not keys.mac or keys.master_of(keys.master_id) is None or min(keys.mac) < 0:
        raise _Damaged
    return keys


def _master(item: Any) -> Master:
    return Master(
        id=str(item["id"]),
        generation=int(item["generation"]),
        fixed=_bytes(item["fixed"]),
        chain=_bytes(item["chain"]),
        day=int(item["day"]),
    )


def _periods(data: Any) -> dict[int, PeriodKeys]:
    return {
        int(number): PeriodKeys(
            seal=_bytes(pair["seal"]),
            visitor=_bytes(pair["visitor"]),
            alternates=tuple(_bytes(key) for key in pair.get("alternates", ())),
        )
        for number, pair in data["periods"].items()
    }


def _from_format_1(data: Any) -> Keys:
    """One secret then made the look-up key and nothing else: it stays what it was, and becomes the first master."""
    root = _bytes(data["master"])
    periods = _periods(data)
    horizon = min(periods, default=_FIRST_DAY)
    master = Master.from_root(root, day=horizon)
    return Keys(
        masters=(master,),
        master_id=master.id,
        lasting=derive(root, b"fbclid look-up"),
        mac=_macs_of_format_1(data["mac"]),
        periods=periods,
        horizon=horizon,
    )


def _macs_of_format_1(data: Any) -> dict[int, MacKey]:
    """Ids of 0-15 that began again become numbers that grow; the id is what is left of a number modulo 16."""
    current = data["current"]
    found = {int(key_id): _bytes(key) for key_id, key in data["keys"].items()}
    if current not in found or not all(0 <= key_id < MAC_IDS for key_id in found):
        raise _Damaged
    number = current if current == max(found) else current + MAC_IDS
    macs = {key_id: MacKey(key=key) for key_id, key in found.items() if key_id != current}
    return macs | {number: MacKey(key=found[current], active_ms=int(data.get("since_ms", 0)))}


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def _bytes(text: str) -> bytes:
    """A key written with or without its `=`; anything but 32 bytes is refused (a key that lost its end is no key)."""
    try:
        key = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except binascii.Error as error:
        raise _Damaged from error
    if len(key) != KEY_BYTES:
        raise _Damaged
    return key
