"""Whoever takes SQL, Redis and spools, and tries every address there is: what comes out with a ring, and without one."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from domain.clock import ManualClock
from privacy.keyring import Keyring
from privacy.keys import PERIOD_MS
from privacy.mac import Mac
from privacy.pseudonymise import Pseudonymiser
from privacy.seal import Sealer
from privacy.shared_keys import merged
from tests.making import NOW

TODAY = NOW // PERIOD_MS
ADDRESSES = ["177.0.0.0", "177.11.22.33", "177.128.0.1", "177.203.44.5", "177.255.255.255"]
BLOCK = 177
PARTS = 8


def tried(part: int, wanted: frozenset[bytes], key: bytes | None, salt: bytes) -> set[str]:
    """The addresses of an eighth of 177.0.0.0/8 whose digest is wanted: HMAC under a key, else SHA-256 after a salt."""
    low, size = part * ((1 << 24) // PARTS), (1 << 24) // PARTS
    addresses = (number.to_bytes(4, "big") for number in range(BLOCK << 24 | low, (BLOCK << 24 | low) + size))
    if key is None:
        sha256 = hashlib.sha256
        found = [raw for raw in addresses if sha256(salt + raw).digest()[:16] in wanted]
    else:
        of = Mac(key).of
        found = [raw for raw in addresses if of(raw)[:16] in wanted]
    return {".".join(map(str, raw)) for raw in found}


def all_tried(
    pool: ProcessPoolExecutor, wanted: Iterable[bytes], key: bytes | None, salt: bytes = b""
) -> set[str]:
    """The whole of the /8."""
    jobs = [pool.submit(tried, part, frozenset(wanted), key, salt) for part in range(PARTS)]
    return set().union(*(job.result() for job in jobs))


def test_only_the_ring_of_the_day_finds_the_addresses_of_that_day(tmp_path: Path) -> None:
    """All 16,777,216 addresses of a /8, against the visitor keys of a day."""
    ring = Keyring.create(tmp_path / "ring.json", ManualClock(now_ms=NOW))
    visitor = Pseudonymiser(ring, Sealer(ring)).visitor_key
    keys = {visitor(address, TODAY) or b"" for address in ADDRESSES}
    # What a thief of the table could take for a salt: what stands in its row.
    [row] = [r for r in merged(ring.keys, [], now_ms=NOW).offers if (r.kind, r.number) == ("period", TODAY)]
    days = ring.keys.periods
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert all_tried(pool, keys, None) == set()
        assert all_tried(pool, keys, None, (row.wrapped or b"")[:32]) == set()
        assert all_tried(pool, keys, days[TODAY + 1].visitor) == set()
        assert all_tried(pool, keys, days[TODAY].visitor) == set(ADDRESSES)
