"""Profiles, rows as they are stored, and deadlines: pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from backends.sql.schema import clicks
from daemon.stored import KINDS, cells, due_ms, notice_due, period_keys
from domain.enrichment import Agent, Enrichment, Geo, Score, Scores
from domain.profile import Behaviour, DeviceProfile, Location, Quality, Touch, profile_of
from privacy.keyring import PERIOD_MS

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
SUNDAY_NIGHT = int(datetime(2026, 11, 1, 23, 30, tzinfo=SAO_PAULO).timestamp() * 1000)


def touch(at_ms: int, added: Enrichment | None = None, *, waited: float | None = None) -> Touch:
    started = None if waited is None else at_ms + int(waited * 1000)
    return Touch(link_id=1, clicked_at_ms=at_ms, started_at_ms=started, enrichment=added)


def test_nobodys_profile_is_empty() -> None:
    found = profile_of([], zone=UTC)
    assert (found.clicks, found.first, found.last, found.behaviour) == (0, None, None, Behaviour())


def test_a_profile_has_the_newest_place_and_device_the_highest_scores_and_the_operators_hour() -> None:
    old = Enrichment(
        geo=Geo("BR", "RJ", "Niterói"), agent=Agent("desktop", "Windows"), scores=Scores(Score(70), Score(5))
    )
    new = Enrichment(geo=Geo("BR", "SP", "São Paulo"), scores=Scores(Score(10), Score(20)))
    found = profile_of(
        [touch(SUNDAY_NIGHT, new, waited=4.5), touch(SUNDAY_NIGHT - 1000, old)], zone=SAO_PAULO
    )
    assert found.location == Location(city="São Paulo", state="SP", country="BR")
    assert found.device == DeviceProfile(type="desktop", os="Windows", is_mobile=False)
    assert found.quality == Quality(bot_score=70, fraud_score=20)
    assert found.behaviour == Behaviour(click_to_start_seconds=4.5, hour=23, weekday=7)
    assert found.first is not None
    assert found.first.clicked_at_ms == SUNDAY_NIGHT - 1000


def test_every_column_of_a_click_has_its_kind_of_data() -> None:
    assert KINDS.keys() == set(clicks.c.keys())


def test_a_stored_row_is_shown_without_its_bytes_and_says_until_when_it_can_be_opened() -> None:
    blob = b"\x01" + (20_000).to_bytes(4, "big") + bytes(60)
    row = {"visitor_key": bytes(range(16)), "sealed": blob, "language": None}
    open_, gone = (
        {c.column: c.value for c in cells(row, periods=p, sealed_days=7, zone=UTC)} for p in ([20_000], [])
    )
    assert open_["visitor_key"] == "0001020304050607… (16 bytes)"
    assert open_["language"] is None
    assert "key of 2024-10-04, readable until 2024-10-12T00:00+00:00" in str(open_["sealed"])
    assert "unreadable for good" in str(gone["sealed"])


def test_a_days_key_is_due_so_many_days_after_the_days_end() -> None:
    assert due_ms(20_000, 7) == 20_008 * PERIOD_MS
    [gone, kept] = period_keys([20_001], {20_000: 3}, sealed_days=7)
    assert (gone.exists, gone.clicks, kept.exists, kept.clicks) == (False, 3, True, 0)


@pytest.mark.parametrize(
    ("known", "due"), [(0, "2026-11-05"), (3, "2026-11-10"), (5, "2026-11-11"), (6, "2026-11-11")]
)
def test_a_notice_is_due_after_three_days_that_are_not_of_a_weekend(known: int, due: str) -> None:
    """Known on Monday: Thursday. On Thursday: Tuesday. On Saturday and Sunday: Wednesday."""
    monday = datetime(2026, 11, 2, 12, tzinfo=UTC)
    assert notice_due(int((monday + timedelta(days=known)).timestamp() * 1000), UTC) == due
