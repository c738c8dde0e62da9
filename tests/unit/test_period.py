"""A period is whole days of the operator's own clock."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from analytics.period import Period
from domain.errors import ConfigError
from domain.rollups import date_of, day_of, hour_ms, hour_of, wait_bin

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
NOON_MS = 1_764_255_600_000  # 2025-11-27 12:00 in São Paulo


def test_a_day_begins_at_the_operators_midnight() -> None:
    today = Period.of("today", NOON_MS, SAO_PAULO)
    assert (today.first_day, today.last_day) == (20251127, 20251127)
    assert (NOON_MS - today.since_ms, today.until_ms - NOON_MS) == (12 * 3_600_000, 12 * 3_600_000)


def test_before_midnight_in_the_operators_zone_is_still_the_day_before() -> None:
    late = NOON_MS + 11 * 3_600_000 + 1_800_000  # 23:30 there, 02:30 of the next day in UTC
    assert day_of(late, SAO_PAULO) == 20251127
    assert day_of(late, ZoneInfo("UTC")) == 20251128


def test_days_up_to_today_and_the_same_number_before() -> None:
    week = Period.of("7d", NOON_MS, SAO_PAULO)
    assert (week.first, week.last, len(week.days)) == (date(2025, 11, 21), date(2025, 11, 27), 7)
    assert (week.before().first, week.before().last) == (date(2025, 11, 14), date(2025, 11, 20))
    assert week.before(1).last == date(2025, 11, 26)


@pytest.mark.parametrize("words", ["", "tomorrow", "0d", "d", "7", "99999d", "7D"])
def test_anything_else_is_no_period(words: str) -> None:
    with pytest.raises(ConfigError, match="not a period"):
        Period.of(words, NOON_MS, SAO_PAULO)


def test_dates_the_wrong_way_round_or_not_dates_are_refused() -> None:
    with pytest.raises(ConfigError, match="earlier date first"):
        Period.between("2025-11-27", "2025-11-26", SAO_PAULO)
    with pytest.raises(ConfigError, match="YYYY-MM-DD"):
        Period.between("27/11/2025", "2025-11-28", SAO_PAULO)


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Asia/Kolkata", "UTC"])
def test_an_hour_begins_when_the_local_clock_shows_it(zone: str) -> None:
    begun = hour_ms(hour_of(NOON_MS + 12_345, ZoneInfo(zone)))
    assert 0 <= NOON_MS + 12_345 - begun < 3_600_000
    assert hour_of(begun, ZoneInfo(zone)) == hour_of(NOON_MS + 12_345, ZoneInfo(zone))


def test_a_wait_is_in_the_first_bin_whose_end_it_has_not_passed() -> None:
    assert [wait_bin(ms) for ms in (-5, 0, 1000, 1001, 604_800_000, 604_800_001)] == [
        "00",
        "00",
        "00",
        "01",
        "15",
        "16",
    ]


def test_the_number_of_a_day_is_its_date() -> None:
    assert date_of(20251127) == date(2025, 11, 27)
