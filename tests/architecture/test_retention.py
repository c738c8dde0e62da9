"""The retention table names everything that is stored, and nothing that is not; the page is what it renders."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import Any

import msgspec
import pytest

from backends.redis import PREFIX, PROBE_KEY
from backends.sql.tables import metadata
from bot.incoming import Incoming, Person
from delivery.report import ReportRequest
from domain.attribution import Start
from domain.books import BookEntry
from domain.click import Click, Tombstone, Visit
from domain.conversions import Conversion
from privacy.keyring import Keys
from privacy.retention import TABLE, fields_in
from privacy.retention_page import BASES, PAGE, PURPOSES, page
from privacy.retention_row import Store
from privacy.seal import Original
from runtime.settings import Settings, load_settings


def members(kind: Any) -> list[str]:
    """The fields of a value, as the table spells them."""
    if issubclass(kind, tuple):
        names = kind._fields
    elif issubclass(kind, msgspec.Struct):
        names = kind.__struct_fields__
    else:
        names = tuple(field.name for field in fields(kind))
    return [f"{kind.__name__}.{name}" for name in names]


STORED: dict[Store, list[str]] = {
    "sql": [
        *(f"{table.name}.{column.name}" for table in metadata.tables.values() for column in table.columns),
        "move_*",
        "trilha_move",
    ],
    "redis": [f"{PREFIX}*", f"{PROBE_KEY}*"],
    "spool": [name for kind in (Click, Start, BookEntry, Tombstone, Conversion) for name in members(kind)],
    "memory": [
        *(name for kind in (Visit, Original, Person, Incoming, ReportRequest) for name in members(kind)),
        "Ring",
    ],
    "disk": [
        *members(Keys),
        "secrets/api-keys",
        "cache/catalog.json",
        "spool/aside/*.bin",
        "access-log/*",
        "secrets/access-log.json",
        "bots/*.session",
        "bots/*.state",
        "bots/worker",
        "secrets/telegram-api-hash",
        "secrets/smtp-password",
        "secrets/alert-webhook",
        "secrets/erasures",
        "imports/*.json",
        "trilha-*.tar.gz",
        "archive/*/day=*/part-0.parquet",
        "archive/manifest.json",
        "a moved trilha.db",
    ],
    "logs": ["stderr", "run/valkey.log"],
}


@pytest.mark.parametrize("store", STORED)
def test_every_field_of_a_store_is_in_one_row_and_no_row_names_another(store: Store) -> None:
    assert Counter(fields_in(store)) == Counter(STORED[store])


def test_no_other_store_is_named() -> None:
    assert {row.store for row in TABLE} == STORED.keys()


def test_a_span_is_a_setting_or_a_number_or_has_words_for_what_ends_it() -> None:
    for row in TABLE:
        given = [row.life.span, row.life.setting, row.life.until]
        assert sum(item is not None for item in given) == 1, row.group.en
        assert row.life.setting is None or row.life.setting in Settings.model_fields


def test_what_is_personal_has_an_end_and_what_is_raw_is_in_memory_or_sealed() -> None:
    for row in TABLE:
        if row.kind in {"raw", "personal", "pseudonym"}:
            assert row.ends != ("none",), row.group.en
            assert row.basis != "not personal data"
        if row.kind == "raw":
            assert row.sealed or row.store == "memory", row.group.en


def test_what_is_sealed_outlives_no_click_and_ends_by_the_destruction_of_its_key() -> None:
    for row in TABLE:
        if row.sealed and row.store != "memory":
            assert "key destruction" in row.ends, row.group.en


def test_every_row_has_words_in_both_languages() -> None:
    texts = [row.group for row in TABLE] + [row.life.text(load_settings({})) for row in TABLE]
    assert all(text.en and text.pt for text in [*texts, *PURPOSES.values(), *BASES.values()])
    assert len({(row.store, row.group) for row in TABLE}) == len(TABLE)


def test_the_page_is_what_the_table_renders() -> None:
    """After a change of the table: `python -m privacy.retention_page`."""
    assert PAGE.read_text() == page(PAGE.read_text())
    assert "### SQL" in page("")
