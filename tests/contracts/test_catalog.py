"""What the catalog of links and the migrations promise, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.links import SqlCatalog
from backends.sql.migrate import current, migrate, newest
from backends.sql.schema import metadata
from domain.clock import ManualClock
from domain.errors import ConfigError
from domain.links import Bot
from tests.making import PATIENT


@pytest.fixture(params=["sqlite_url", "postgres_url"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    made = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    yield made
    await made.dispose()


@pytest.fixture
async def catalog(engine: AsyncEngine) -> SqlCatalog:
    await migrate(engine)
    return SqlCatalog(engine, ManualClock())


async def test_what_was_added_is_loaded(catalog: SqlCatalog) -> None:
    bot = await catalog.add_bot("@Shop_Bot")
    link = await catalog.add_link(
        "promo", bot="shop_bot", name="Promoção", fallback_url="https://example.com/", pixel="12345"
    )
    loaded = await catalog.load()
    assert (loaded.links, loaded.bots) == ((link,), (bot,))
    assert (link.bot, link.name, link.pixel, link.live) == (bot, "Promoção", "12345", True)
    assert await catalog.link("promo") == link


async def test_a_bot_is_one_whatever_the_case_of_its_name(catalog: SqlCatalog) -> None:
    assert (
        await catalog.add_bot("Shop_Bot")
        == await catalog.add_bot("@SHOP_BOT")
        == Bot(id=1, username="Shop_Bot")
    )


async def test_an_edit_changes_what_is_given_and_nothing_else(catalog: SqlCatalog) -> None:
    await catalog.add_bot("shop_bot")
    await catalog.add_bot("other_bot")
    await catalog.add_link("promo", bot="shop_bot", fallback_url="https://example.com/", pixel="12345")
    paused = await catalog.edit_link("promo", paused=True)
    assert (paused.live, paused.pixel, paused.fallback_url) == (False, "12345", "https://example.com/")
    moved = await catalog.edit_link(
        "promo", bot="other_bot", paused=False, pixel="", fallback_url="", name="n"
    )
    assert moved.bot is not None
    assert (moved.bot.username, moved.live, moved.pixel, moved.fallback_url, moved.name) == (
        "other_bot",
        True,
        None,
        None,
        "n",
    )


async def test_the_version_grows_with_every_change_and_with_no_refused_one(catalog: SqlCatalog) -> None:
    seen = [await catalog.version()]
    await catalog.add_bot("shop_bot")
    seen.append(await catalog.version())
    await catalog.add_link("promo", bot="shop_bot")
    seen.append(await catalog.version())
    with pytest.raises(ConfigError):
        await catalog.add_link("promo", bot="shop_bot")
    assert await catalog.version() == seen[-1]
    await catalog.edit_link("promo", paused=True)
    seen.append(await catalog.version())
    assert seen == sorted(set(seen))
    assert (await catalog.load()).version == seen[-1]


async def test_mistakes_are_refused_in_words_and_leave_nothing(catalog: SqlCatalog) -> None:
    await catalog.add_bot("shop_bot")
    await catalog.add_link("promo", bot="shop_bot")
    before = await catalog.load()
    refused = [
        (catalog.add_link("promo", bot="shop_bot"), "taken"),
        (catalog.add_link("other", bot="no_such_bot"), "trilha bot-account add"),
        (catalog.add_link("white space", bot="shop_bot"), "not a slug"),
        (catalog.add_link("other", bot="shop_bot", fallback_url="javascript:alert(1)"), "fallback URL"),
        (catalog.add_link("other", bot="shop_bot", pixel="12x"), "pixel"),
        (catalog.add_bot("1bot"), "bot username"),
        (catalog.edit_link("absent", paused=True), "no link"),
        (catalog.edit_link("promo", pixel="12x"), "pixel"),
        (catalog.link("absent"), "trilha link list"),
    ]  # fmt: skip
    for call, words in refused:
        with pytest.raises(ConfigError, match=words):
            await call
    assert await catalog.load() == before


def differences(connection: Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_the_migrations_make_the_schema_that_the_code_describes(engine: AsyncEngine) -> None:
    await migrate(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(engine: AsyncEngine) -> None:
    assert await current(engine) is None
    assert await migrate(engine) == (None, newest())
    assert await migrate(engine) == (newest(), newest())
    assert await current(engine) == newest()
    assert await SqlCatalog(engine, ManualClock()).version() == 1
