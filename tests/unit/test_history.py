"""What the cells of another tracker's table mean."""

from __future__ import annotations

from datetime import UTC
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.sql.import_columns import find_columns, find_table
from daemon.history import person_id, time_ms
from domain.errors import ConfigError
from domain.ids import uuid7_ms, uuid7_of

BRAZIL = ZoneInfo("America/Sao_Paulo")
AT = 1_700_000_000_123


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("1700000000", AT - 123),
        ("1700000000.123", AT),
        ("1700000000123", AT),
        ("1700000000123.0", AT),
        ("1.700000000123e+12", AT),
        ("1700000000123456", AT),
        ("1700000000123456789", AT),
        ("2023-11-14 19:13:20.123", AT),
        ("2023-11-14T22:13:20.123Z", AT),
        ("2023-11-14 22:13:20.123+00", AT),
        ("2023-11-14T17:13:20.123-05:00", AT),
        ("2023-11-14", 1_699_930_800_000),
        ("", None),
        ("0", None),
        ("-5", None),
        ("yesterday", None),
        ("infinity", None),
        ("0044-03-15 00:00:00 BC", None),
        ("9999-12-31 23:59:59", None),
        ("0001-01-01 00:00:00", None),
        ("1" * 64, None),
        ("1e99", None),
        ("14/11/2023 19:13", None),
    ],
)
def test_a_time_is_iso_or_a_number_of_whatever_unit_and_local_where_it_names_no_zone(
    cell: str, found: int | None
) -> None:
    assert time_ms(cell, BRAZIL) == found


@given(st.text(max_size=64))
def test_no_cell_makes_reading_a_time_or_a_person_fail(cell: str) -> None:
    at_ms = time_ms(cell, UTC)
    assert at_ms is None or 0 <= at_ms < 1 << 48
    person_id(cell)


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("", None),
        ("0", None),
        ("123", 123),
        ("123.0", 123),
        ("-100123", -100_123),
        ("eve", 0),
        ("1.5", 0),
        ("٣", 0),
    ],
)
def test_a_person_is_a_whole_number_nobody_or_a_mistake(cell: str, found: int | None) -> None:
    assert person_id(cell) == found


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=32, max_size=32))
def test_a_derived_id_is_a_uuid_of_version_7_of_its_time_and_the_same_for_the_same(
    at_ms: int, digest: bytes
) -> None:
    found = uuid7_of(at_ms, digest)
    assert (found.version, found.variant, uuid7_ms(found)) == (7, UUID(int=1 << 63).variant, at_ms)
    assert found == uuid7_of(at_ms, digest)
    assert found != uuid7_of(at_ms, digest[:9] + bytes([digest[9] ^ 1]))


def test_columns_are_found_by_their_usual_names_the_likeliest_first() -> None:
    names = [
        "id",
        "user_id",
        "TelegramId",
        "clickTimestamp",
        "IP_Address",
        "UserAgent",
        "UTM_Source",
        "utm_id",
        "phone",
    ]
    found = find_columns(names, ["id"], {})
    assert found.of == {
        "id": "id",
        "telegram_id": "TelegramId",
        "clicked_at": "clickTimestamp",
        "ip": "IP_Address",
        "user_agent": "UserAgent",
        "utm_source": "UTM_Source",
        "utm_id": "utm_id",
    }
    assert found.left_out == ("user_id", "phone")


def test_what_the_operator_says_wins_and_a_column_is_one_thing_only() -> None:
    found = find_columns(["a", "user_id", "created_at"], [], {"id": "user_id", "telegram_id": "a"})
    assert found.of == {"id": "user_id", "telegram_id": "a", "created_at": "created_at"}
    assert not found.key_names_people
    assert find_columns(["created_at", "tg_id"], ["tg_id"], {}).key_names_people


def test_a_table_without_times_and_a_choice_of_tables_are_asked_about() -> None:
    with pytest.raises(ConfigError, match="--column clicked_at"):
        find_columns(["id", "user_id"], ["id"], {})
    for names in (["users"], ["bot_users", "BotUser"], []):
        with pytest.raises(ConfigError, match="--table"):
            find_table(names, None)
    assert find_table(["users", "BotUsers"], None) == "BotUsers"
