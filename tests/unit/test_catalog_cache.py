"""Links in memory: there when SQL is not, and never older than one refresh when it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.catalog_cache import CatalogCache
from domain.clock import ManualClock
from domain.errors import StoreUnavailable
from domain.links import Bot, Catalog, Link, Member

ANA = Bot(id=1, username="Ana_bot")
CATALOG = Catalog(
    version=3, bots=(ANA,), links=(Link(id=9, slug="promo", name="Promo", pool=(Member(bot=ANA),)),)
)


class Source:
    """A catalog that can be taken away; counts the loads."""

    def __init__(self, catalog: Catalog | None) -> None:
        self.catalog = catalog
        self.loads = 0

    async def version(self) -> int:
        return self._there().version

    async def load(self) -> Catalog:
        self.loads += 1
        return self._there()

    def _there(self) -> Catalog:
        if self.catalog is None:
            raise StoreUnavailable("away")
        return self.catalog


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "catalog.json"


async def test_before_anything_was_loaded_there_is_no_link_and_it_says_so(copy: Path) -> None:
    cache = CatalogCache(Source(None), copy, ManualClock())
    cache.load_copy()
    await cache.refresh()
    assert not cache.loaded
    assert cache.link("promo") is None
    assert cache.link_by_id(9) is None
    assert cache.bot_name(1) is None
    assert cache.checked_ms is None


async def test_links_are_found_by_slug_and_id_and_bots_by_username_in_any_case(copy: Path) -> None:
    cache = CatalogCache(Source(CATALOG), copy, ManualClock())
    await cache.refresh()
    assert cache.link("promo") == cache.link_by_id(9) == CATALOG.links[0]
    assert cache.link("PROMO") is None
    assert cache.bot("@ANA_BOT") == cache.bot("ana_bot") == ANA
    assert cache.bot_name(1) == "Ana_bot"


async def test_a_second_process_starts_from_the_copy_with_the_source_away(copy: Path) -> None:
    await CatalogCache(Source(CATALOG), copy, ManualClock()).refresh()
    cache = CatalogCache(Source(None), copy, ManualClock())
    cache.load_copy()
    await cache.refresh()
    assert cache.loaded
    assert cache.link("promo") == CATALOG.links[0]
    assert cache.checked_ms is None


async def test_a_copy_of_before_events_could_be_off_reports_what_a_new_link_does(copy: Path) -> None:
    await CatalogCache(Source(CATALOG), copy, ManualClock()).refresh()
    written = json.loads(copy.read_bytes())
    for link in written["links"]:
        assert link.pop("events_off") == ["PageView"]
    copy.write_text(json.dumps(written))
    cache = CatalogCache(Source(None), copy, ManualClock())
    cache.load_copy()
    assert cache.link("promo") == CATALOG.links[0]


async def test_what_is_known_stays_while_the_source_is_away(copy: Path) -> None:
    source = Source(CATALOG)
    cache = CatalogCache(source, copy, ManualClock())
    await cache.refresh()
    source.catalog = None
    await cache.refresh()
    assert cache.link("promo") == CATALOG.links[0]


async def test_an_unchanged_version_is_not_loaded_again_and_a_changed_one_is(copy: Path) -> None:
    source = Source(CATALOG)
    cache = CatalogCache(source, copy, ManualClock())
    for _ in range(5):
        await cache.refresh()
    assert source.loads == 1
    source.catalog = Catalog(version=4, bots=(ANA,))
    await cache.refresh()
    assert source.loads == 2
    assert cache.link("promo") is None
    assert cache.loaded


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"version": "x"}', b"\xff"])
async def test_a_damaged_copy_is_no_catalog_and_no_obstacle(copy: Path, content: bytes) -> None:
    copy.parent.mkdir()
    copy.write_bytes(content)
    cache = CatalogCache(Source(CATALOG), copy, ManualClock())
    cache.load_copy()
    assert not cache.loaded
    await cache.refresh()
    assert cache.loaded


async def test_a_copy_that_cannot_be_written_does_not_stop_the_refresh(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    cache = CatalogCache(Source(CATALOG), tmp_path / "cache" / "catalog.json", ManualClock())
    await cache.refresh()
    assert cache.loaded
