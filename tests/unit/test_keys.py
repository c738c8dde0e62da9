"""The ring as a value and as a file, its master, and what becomes of it when it meets SQL."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.clock import ManualClock
from domain.errors import ConfigError
from domain.keys import SharedKey
from privacy.keyfile import decode, encode
from privacy.keyring import Keyring
from privacy.keys import PERIOD_MS, PROVISION_AHEAD, Keys, PeriodKeys
from privacy.master import Master, derive
from privacy.shared_keys import copy_of, merged
from tests.making import NOW

TODAY = NOW // PERIOD_MS
HOUR_MS = 3_600_000


def row(**changes: Any) -> SharedKey:
    return SharedKey(**({"kind": "period", "number": TODAY, "master": "", "created_ms": NOW} | changes))


def rows_of(keys: Keys, now_ms: int = NOW) -> list[SharedKey]:
    """What an empty SQL is offered."""
    return list(merged(keys, [], now_ms=now_ms).offers)


def copied(keys: Keys) -> Keys:
    """The ring of a node that got a copy, and has no period yet."""
    return replace(keys, periods={})


# ---------------------------------------------------------------- the file


def format_1(root: bytes, current: int, *others: int) -> str:
    text = lambda key: base64.b64encode(key).decode()
    macs = {str(number): text(bytes([number]) * 32) for number in (current, *others)}
    pair = {"seal": text(b"s" * 32), "visitor": text(b"v" * 32)}
    ring = {
        "format": 1,
        "master": text(root),
        "mac": {"current": current, "since_ms": 5, "keys": macs},
        "periods": {str(TODAY): pair},
    }
    return json.dumps(ring)


def test_a_ring_of_format_1_keeps_every_key_it_had() -> None:
    keys = decode(format_1(b"r" * 32, 3, 2))
    assert keys is not None
    assert keys.lasting == derive(b"r" * 32, b"fbclid look-up")
    assert keys.periods == {TODAY: PeriodKeys(seal=b"s" * 32, visitor=b"v" * 32)}
    assert {number: mac.key for number, mac in keys.mac.items()} == {2: b"\2" * 32, 3: b"\3" * 32}
    assert (keys.minting(NOW), keys.mac[3].active_ms) == (3, 5)
    assert decode(encode(keys)) == keys


def test_a_ring_of_format_1_whose_ids_began_again_mints_with_the_same_id() -> None:
    keys = decode(format_1(b"r" * 32, 0, 15))
    assert keys is not None
    assert (keys.minting(NOW) % 16, sorted(number % 16 for number in keys.mac)) == (0, [0, 15])


def test_copies_of_a_ring_of_format_1_open_each_others_rows_though_they_began_on_other_days() -> None:
    early, late = decode(format_1(b"r" * 32, 0)), decode(format_1(b"r" * 32, 0))
    assert early is not None
    assert late is not None
    late = late.destroyed(TODAY - 1).destroyed(TODAY)
    wrapped = early.master.wrap(row(number=TODAY + 3), b"secret")
    assert late.master.unwrap(wrapped) == b"secret"


def test_a_ring_is_upgraded_when_it_is_changed_and_its_tokens_and_look_ups_stay(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    path.write_text(format_1(b"r" * 32, 3, 2))
    path.chmod(0o600)
    ring = Keyring(path, ManualClock(now_ms=NOW))
    before = ring.mac_key(), ring.lookup_key(), ring.period_keys(TODAY)
    ring.refresh()
    assert json.loads(path.read_text())["format"] == 2
    again = Keyring(path, ManualClock(now_ms=NOW))
    assert (again.mac_key(), again.lookup_key(), again.period_keys(TODAY)) == before


def test_what_the_file_held_is_overwritten_when_a_key_is_destroyed(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    ring = Keyring.create(path, ManualClock(now_ms=NOW))
    old = path.open("rb")
    assert b"seal" in old.read()
    ring.destroy_before(TODAY + 1)
    old.seek(0)
    assert set(old.read()) == {0}
    old.close()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["ring.json", "ring.lock"]


def test_a_second_name_of_the_file_is_left_alone(tmp_path: Path) -> None:
    """A hard link may be the operator's backup."""
    path, link = tmp_path / "ring.json", tmp_path / "copy.json"
    ring = Keyring.create(path, ManualClock(now_ms=NOW))
    os.link(path, link)
    ring.destroy_before(TODAY + 1)
    assert decode(link.read_text()) is not None


@pytest.mark.parametrize("spoil", ["master", "masters", "lasting", "mac", "periods", "horizon", "format"])
def test_a_ring_without_one_of_its_parts_is_refused(tmp_path: Path, spoil: str) -> None:
    data = json.loads(encode(Keys.fresh(TODAY)))
    del data[spoil]
    assert decode(json.dumps(data)) is None


# ---------------------------------------------------------------- the master


def test_a_wrapped_key_opens_in_its_own_row_and_under_its_own_master_only() -> None:
    master = Master.fresh(generation=0, day=TODAY)
    wrapped = master.wrap(row(), b"secret")
    assert b"secret" not in (wrapped.wrapped or b"")
    assert master.unwrap(wrapped) == b"secret"
    moved = [
        replace(wrapped, number=TODAY + 1), replace(wrapped, copy=1), replace(wrapped, kind="mac"),
        replace(wrapped, active_ms=1), replace(wrapped, wrapped=b""), replace(wrapped, wrapped=None),
        replace(wrapped, wrapped=(wrapped.wrapped or b"")[:-1]),
    ]  # fmt: skip
    assert [master.unwrap(other) for other in moved] == [None] * len(moved)
    assert Master.fresh(generation=0, day=TODAY).unwrap(wrapped) is None
    other = Master.fresh(generation=1, day=TODAY)
    assert other.unwrap(replace(wrapped, master=other.id)) is None


def test_nobody_goes_back_a_master_that_moved_on_opens_no_earlier_day() -> None:
    """I14: the ring of today and an old backup of SQL give nothing."""
    master = Master.fresh(generation=0, day=TODAY)
    days = {number: master.wrap(row(number=number), b"secret") for number in range(TODAY, TODAY + 5)}
    later = master.at(TODAY + 2)
    opened = {number: later.unwrap(wrapped) for number, wrapped in days.items()}
    assert opened == {number: b"secret" if number >= TODAY + 2 else None for number in days}
    forced = replace(later, day=TODAY)
    assert forced.unwrap(days[TODAY]) is None
    assert later.at(TODAY) is later


def test_a_number_far_ahead_costs_no_time() -> None:
    master = Master.fresh(generation=0, day=TODAY)
    assert master.unwrap(row(number=2**31 - 1, master=master.id, wrapped=bytes(60))) is None


# ---------------------------------------------------------------- ring and SQL


def test_an_empty_table_gets_what_the_ring_has_and_another_copy_takes_it_over() -> None:
    ours = Keys.fresh(TODAY)
    shared = rows_of(ours)
    theirs = merged(copied(ours), shared, now_ms=NOW)
    assert theirs.keys == ours
    assert theirs.settled
    assert merged(ours, shared, now_ms=NOW).settled
    assert len(shared) == PROVISION_AHEAD + 2


def test_nothing_in_the_offered_rows_is_a_key() -> None:
    keys = Keys.fresh(TODAY)
    text = b"".join(offer.wrapped or b"" for offer in rows_of(keys)) + repr(rows_of(keys)).encode()
    secrets = [
        *(pair.seal for pair in keys.periods.values()),
        *(pair.visitor for pair in keys.periods.values()),
    ]
    secrets += [mac.key for mac in keys.mac.values()]
    secrets += [keys.lasting, keys.master.fixed, keys.master.chain]
    assert not [secret for secret in secrets if secret in text]


def test_a_day_that_nobody_has_is_made_by_the_first_and_used_once_sql_has_it() -> None:
    keys = copied(Keys.fresh(TODAY))
    first = merged(keys, [], now_ms=NOW)
    assert first.keys.periods == {}
    assert sorted(offer.number for offer in first.offers if offer.kind == "period") == list(
        range(TODAY, TODAY + PROVISION_AHEAD + 1)
    )
    assert sorted(merged(keys, first.offers, now_ms=NOW).keys.periods) == list(range(TODAY, TODAY + 8))


def test_of_two_keys_of_a_day_sqls_is_used_and_the_other_opens_on_every_node() -> None:
    base = Keys.fresh(TODAY)
    ours, theirs = copied(base).provisioned(TODAY, TODAY + 1), copied(base).provisioned(TODAY, TODAY + 1)
    shared = rows_of(theirs)
    found = merged(ours, shared, now_ms=NOW)
    assert found.keys.periods[TODAY].seal == theirs.periods[TODAY].seal
    assert found.keys.periods[TODAY].visitor == theirs.periods[TODAY].visitor
    assert found.keys.periods[TODAY].alternates == (ours.periods[TODAY].seal,)
    assert found.keys.periods[TODAY + 1] == theirs.periods[TODAY + 1]  # nothing was sealed with ours yet
    [offer] = found.offers
    assert (offer.number, offer.copy) == (TODAY, copy_of(ours.periods[TODAY].seal))
    other = merged(theirs, [*shared, offer], now_ms=NOW)
    assert other.keys.periods[TODAY] == found.keys.periods[TODAY]
    assert other.settled


def test_what_the_ring_has_destroyed_no_row_of_sql_brings_back() -> None:
    """A restored backup of SQL is destroyed again."""
    keys = Keys.fresh(TODAY)
    backup = rows_of(keys)
    found = merged(keys.destroyed(TODAY + 2), backup, now_ms=NOW)
    assert sorted(found.keys.periods) == list(range(TODAY + 2, TODAY + 8))
    assert found.destroy == (("period", TODAY + 2),)
    assert not found.offers


def test_a_tombstone_in_sql_destroys_that_day_and_all_before_it_in_the_ring() -> None:
    keys = Keys.fresh(TODAY - 9)
    tombstone = row(number=TODAY - 5, destroyed_ms=NOW)
    found = merged(keys, [tombstone], now_ms=NOW)
    assert (min(found.keys.periods), found.keys.horizon) == (TODAY - 4, TODAY - 4)
    assert found.keys.provisioned(TODAY - 9, TODAY).periods.keys() == found.keys.periods.keys() | {
        TODAY - 1,
        TODAY,
    }


def test_a_tombstone_of_a_day_to_come_destroys_no_more_than_today() -> None:
    """Whoever writes to SQL cannot keep us from sealing tomorrow."""
    found = merged(Keys.fresh(TODAY), [row(number=2**31 - 1, destroyed_ms=NOW)], now_ms=NOW)
    assert found.keys.horizon == TODAY + 1
    assert TODAY + 1 in found.keys.periods


def test_rows_of_another_master_change_nothing_and_are_offered_nothing() -> None:
    ours, stranger = Keys.fresh(TODAY), Keys.fresh(TODAY)
    found = merged(ours, rows_of(stranger), now_ms=NOW)
    assert (found.keys, found.offers, found.foreign) == (ours, (), {stranger.master_id})


def test_an_altered_row_is_named_and_not_used() -> None:
    keys = Keys.fresh(TODAY)
    shared = rows_of(keys)
    bad = replace(shared[0], wrapped=bytes(92))
    found = merged(keys, [bad, *shared[1:]], now_ms=NOW)
    assert (found.keys, found.unreadable, found.settled) == (keys, (bad,), True)


# ---------------------------------------------------------------- MAC keys


def test_an_announced_mac_key_verifies_at_once_and_mints_when_its_time_has_come(tmp_path: Path) -> None:
    clock = ManualClock(now_ms=NOW)
    ring = Keyring.create(tmp_path / "ring.json", clock)
    ring.rotate_mac(window_days=28, after_ms=HOUR_MS)
    assert ring.mac_key()[0] == 0
    assert ring.mac_key_by_id(1) is not None
    with pytest.raises(ConfigError, match="under way"):
        ring.rotate_mac(window_days=28, force=True)
    clock.advance(3600)
    ring.refresh()
    assert ring.mac_key()[0] == 1
    assert ring.mac_key_by_id(0) is not None


def test_mac_keys_travel_and_the_one_before_the_last_goes_everywhere() -> None:
    base = Keys.fresh(TODAY)
    once = base.with_next_mac(NOW, window_days=28)
    twice = once.with_next_mac(NOW + 1, window_days=28, force=True)
    shared = rows_of(once)
    found = merged(twice, shared, now_ms=NOW + 1)
    assert found.destroy == (("mac", 1),)
    assert [offer.number for offer in found.offers if offer.kind == "mac"] == [2]
    kept = [r for r in shared if r.kind == "period" or r.number >= 1] + list(found.offers)
    other = merged(base, [*kept, row(kind="mac", number=0, destroyed_ms=NOW)], now_ms=NOW + 1)
    assert other.keys.mac == twice.mac
    assert other.keys.minting(NOW + 1) == 2


def test_ids_of_mac_keys_begin_again_after_fifteen(tmp_path: Path) -> None:
    ring = Keyring.create(tmp_path / "ring.json", ManualClock(now_ms=NOW))
    for number in range(1, 40):
        ring.rotate_mac(window_days=28, force=True)
        assert ring.mac_key()[0] == number % 16
        assert ring.describe()["mac_key_ids"] == sorted({number % 16, (number - 1) % 16})


# ---------------------------------------------------------------- masters


def test_the_lasting_keys_outlive_every_rotation(tmp_path: Path) -> None:
    ring = Keyring.create(tmp_path / "ring.json", ManualClock(now_ms=NOW))
    before = ring.lookup_key(), ring.person_key(7)
    first = ring.keys.master_id
    ring.prepare_master()
    assert ring.keys.master_id == first
    ring.wrap_with_newest_master()
    ring.forget_older_masters()
    ring.rotate_mac(window_days=28, force=True)
    ring.destroy_before(TODAY + 9)
    assert [master.id for master in ring.keys.masters] == [ring.keys.master_id] != [first]
    assert (ring.lookup_key(), ring.person_key(7)) == before


def test_a_persons_key_is_theirs_alone_and_not_the_look_up_key(tmp_path: Path) -> None:
    ring = Keyring.create(tmp_path / "ring.json", ManualClock(now_ms=NOW))
    keys = {ring.person_key(number) for number in (1, 2, 2**52, -5)}
    assert (len(keys), {len(key) for key in keys}) == (4, {16})
    lookup = ring.mac(ring.lookup_key()).of((1).to_bytes(8, "big"))
    assert ring.person_key(1) != lookup[:16]


def test_rows_are_wrapped_anew_under_the_newest_master_and_copies_follow() -> None:
    base = Keys.fresh(TODAY)
    shared = rows_of(base)
    prepared = base.prepared()
    assert prepared.prepared() is prepared
    rotated = prepared.wrapping_with(prepared.masters[-1].id)
    found = merged(rotated, shared, now_ms=NOW)
    assert [before for before, _ in found.rewrapped] == shared
    anew = [after for _, after in found.rewrapped]
    follower = merged(prepared, anew, now_ms=NOW)
    assert (follower.keys, follower.settled) == (rotated, True)
    assert merged(rotated.without_older_masters(), anew, now_ms=NOW).settled
    assert merged(base, anew, now_ms=NOW).foreign == {rotated.master_id}


def test_an_import_brings_what_is_new_and_brings_back_nothing_destroyed(tmp_path: Path) -> None:
    clock = ManualClock(now_ms=NOW)
    ring = Keyring.create(tmp_path / "a" / "ring.json", clock)
    before = ring.export()
    other = Keyring.imported(tmp_path / "b" / "ring.json", clock, before)
    assert other.keys == ring.keys
    ring.destroy_before(TODAY + 1)
    ring.prepare_master()
    other = Keyring.imported(tmp_path / "b" / "ring.json", clock, ring.export())
    assert other.keys == ring.keys
    assert Keyring.imported(tmp_path / "b" / "ring.json", clock, before).keys == ring.keys
    for text, words in ((encode(Keys.fresh(TODAY)), "another installation"), ("{}", "no exported")):
        with pytest.raises(ConfigError, match=words):
            Keyring.imported(tmp_path / "b" / "ring.json", clock, text)
