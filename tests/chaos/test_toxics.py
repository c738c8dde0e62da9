"""What each toxic makes of parcels, by itself: no network and no clock."""

from __future__ import annotations

import pytest

from chaos.proxy.connection import toxics
from chaos.proxy.toxics.bandwidth import Bandwidth
from chaos.proxy.toxics.drop import Drop
from chaos.proxy.toxics.latency import Latency
from chaos.proxy.toxics.noop import Noop, Parcel, Toxic
from chaos.proxy.trouble import NONE, Trouble

CAME = [Parcel(1.0, b"abc"), Parcel(1.5, b"d" * 100), Parcel(1.5, b"")]


def treated(toxic: Toxic) -> list[Parcel]:
    return list(toxic.treat(CAME))


def test_noop_changes_nothing() -> None:
    assert treated(Noop()) == CAME


def test_latency_moves_every_parcel_by_as_much() -> None:
    assert treated(Latency(2.0)) == [Parcel(due + 2.0, data) for due, data in CAME]


def test_jitter_is_at_most_what_was_said_and_no_parcel_overtakes_another() -> None:
    toxic = Latency(2.0, jitter=5.0)
    for _ in range(100):
        dues = [due for due, _ in Latency(2.0, jitter=5.0).treat(CAME)]
        assert dues == sorted(dues)
        assert all(came.due + 2.0 <= due <= 1.5 + 7.0 for came, due in zip(CAME, dues, strict=True))
    first, second = ([due for due, _ in toxic.treat([Parcel(at, b"x")])] for at in (1.0, 0.0))
    assert first <= second


def test_a_bandwidth_cuts_into_slices_that_leave_one_after_the_other_and_keeps_the_end() -> None:
    out = treated(Bandwidth(1000))  # 20 bytes a slice
    assert b"".join(data for _, data in out) == b"abc" + b"d" * 100
    assert [len(data) for _, data in out] == [3, 20, 20, 20, 20, 20, 0]
    assert [due for due, _ in out] == pytest.approx([1.003, 1.52, 1.54, 1.56, 1.58, 1.6, 1.6])


def test_drop_lets_nothing_through_not_even_the_end() -> None:
    assert treated(Drop()) == []


def test_a_trouble_has_the_toxics_of_its_direction_and_none_when_nothing_is_wrong() -> None:
    def kinds(trouble: Trouble, direction: str) -> list[type]:
        return [type(toxic) for toxic in toxics(trouble, direction)]

    assert toxics(NONE, "up") == toxics(Trouble(blackhole=True, reset=True, flap_s=1.0), "down") == []
    assert kinds(Trouble(drop="up"), "up") == [Drop]
    assert kinds(Trouble(drop="up"), "down") == []
    assert kinds(Trouble(silent=True), "up") == kinds(Trouble(silent=True), "down") == [Drop]
    assert kinds(Trouble(latency_ms=1, bandwidth=1), "down") == [Bandwidth, Latency]
    assert kinds(Trouble(jitter_ms=1), "up") == [Latency]
