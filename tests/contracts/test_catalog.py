"""What the catalog of links and the migrations promise, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Uuid, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.links import SqlCatalog
from backends.sql.migrate import FOLDER, current, migrate, newest
from backends.sql.partitions import is_partition
from backends.sql.schema import UtcMillis, metadata, outbox
from domain.clock import ManualClock
from domain.errors import ConfigError
from domain.links import Bot, Button, Greeting, Member
from domain.pools import MAX_MEMBERS, Place
from tests.making import NOW, PATIENT, new_id


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


async def test_events_that_are_off_are_kept_by_name_and_page_views_are_off_at_first(
    catalog: SqlCatalog,
) -> None:
    await catalog.add_bot("shop_bot")
    before = await catalog.add_link("promo", bot="shop_bot")
    assert before.events_off == ("PageView",)
    assert (await catalog.edit_link("promo", name="n")).events_off == ("PageView",)
    for names, kept in (
        (["ViewContent", "Add_To-Cart", "ViewContent"], ("Add_To-Cart", "ViewContent")),
        ([], ()),
        ([f"{number:050}" for number in range(9)], tuple(f"{number:050}" for number in range(9))),
    ):
        version = await catalog.version()
        assert (await catalog.edit_link("promo", events_off=names)).events_off == kept
        assert (await catalog.load()).links[0].events_off == kept
        assert await catalog.version() > version


@pytest.mark.parametrize(
    "names", [["Page View"], [""], ["a" * 51], ["Ação"], [f"{number:050}" for number in range(10)]]
)
async def test_events_whose_names_cannot_be_kept_are_refused_and_leave_nothing(
    catalog: SqlCatalog, names: list[str]
) -> None:
    await catalog.add_bot("shop_bot")
    link = await catalog.add_link("promo", bot="shop_bot")
    with pytest.raises(ConfigError, match="event"):
        await catalog.edit_link("promo", events_off=names)
    assert await catalog.link("promo") == link


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


async def bots_of(catalog: SqlCatalog, *names: str) -> list[Bot]:
    return [await catalog.add_bot(name) for name in names]


async def test_a_pool_is_loaded_by_priority_and_the_heavier_first(catalog: SqlCatalog) -> None:
    one, two, three = await bots_of(catalog, "one_bot", "two_bot", "three_bot")
    await catalog.add_link("promo", bot="one_bot", strategy="priority", bridge=True)
    await catalog.put_member("promo", "two_bot", weight=1000, priority=100)
    link = await catalog.put_member("promo", "@THREE_bot", weight=5)
    assert link.pool == (
        Member(bot=three, weight=5, priority=1),
        Member(bot=one, weight=1, priority=1),
        Member(bot=two, weight=1000, priority=100),
    )
    assert (link.strategy, link.bridge) == ("priority", True)
    assert (await catalog.load()).links == (link,)


async def test_a_member_put_again_changes_in_what_is_given_alone(catalog: SqlCatalog) -> None:
    one, two = await bots_of(catalog, "one_bot", "two_bot")
    await catalog.add_link("promo", bot="one_bot")
    await catalog.put_member("promo", "two_bot", weight=5, priority=7)
    await catalog.put_member("promo", "two_bot", weight=6)
    link = await catalog.put_member("promo", "one_bot")
    assert link.pool == (Member(bot=one), Member(bot=two, weight=6, priority=7))


async def test_a_bot_is_taken_out_of_one_pool_alone(catalog: SqlCatalog) -> None:
    _, two = await bots_of(catalog, "one_bot", "two_bot")
    for slug in ("promo", "other"):
        await catalog.add_link(slug, bot="one_bot")
        await catalog.put_member(slug, "two_bot")
    link = await catalog.remove_member("promo", "one_bot")
    assert [member.bot for member in link.pool] == [two]
    assert len((await catalog.link("other")).pool) == 2


async def test_editing_the_bot_leaves_that_one_and_no_other(catalog: SqlCatalog) -> None:
    one, _ = await bots_of(catalog, "one_bot", "two_bot")
    await catalog.add_link("promo", bot="one_bot")
    await catalog.put_member("promo", "one_bot", weight=9, priority=9)
    await catalog.put_member("promo", "two_bot")
    link = await catalog.edit_link("promo", bot="one_bot", strategy="round_robin", bridge=True)
    assert (link.pool, link.strategy, link.bridge) == ((Member(bot=one),), "round_robin", True)
    kept = await catalog.edit_link("promo", name="n", bridge=False)
    assert (kept.strategy, kept.bridge) == ("round_robin", False)


async def test_a_greeting_is_kept_whole_by_language(catalog: SqlCatalog) -> None:
    await bots_of(catalog, "one_bot")
    await catalog.add_link("promo", bot="one_bot")
    await catalog.add_link("other", bot="one_bot")
    said = Greeting(
        language="pt",
        text="Olá, {name}! <b>👋</b>",
        buttons=(Button(text="Ver 👩\u200d💻", url="https://example.com/?a=b"),),
        photo_url="https://example.com/a.jpg",
    )
    english = Greeting(language="en", text="Hello")
    await catalog.put_greeting("promo", said)
    link = await catalog.put_greeting("promo", english)
    assert link.greetings == (english, said)
    assert (await catalog.link("other")).greetings == ()
    link = await catalog.put_greeting("promo", Greeting(language="PT", text="Oi"))
    assert link.greetings == (english, Greeting(language="pt", text="Oi"))
    assert (await catalog.load()).by_slug()["promo"] == link
    assert (await catalog.remove_greeting("promo", "pt")).greetings == (english,)


async def test_every_change_of_a_pool_or_a_greeting_raises_the_version(catalog: SqlCatalog) -> None:
    await bots_of(catalog, "one_bot", "two_bot")
    await catalog.add_link("promo", bot="one_bot")
    versions = [await catalog.version()]
    changes = [
        catalog.put_member("promo", "two_bot"),
        catalog.put_member("promo", "two_bot", weight=2),
        catalog.remove_member("promo", "one_bot"),
        catalog.edit_link("promo", strategy="priority"),
        catalog.edit_link("promo", bridge=True),
        catalog.put_greeting("promo", Greeting(language="pt", text="Oi")),
        catalog.remove_greeting("promo", "pt"),
    ]
    for change in changes:
        await change
        versions.append(await catalog.version())
    assert versions == sorted(set(versions))


async def test_mistakes_in_a_pool_or_a_greeting_are_refused_in_words_and_leave_nothing(
    catalog: SqlCatalog,
) -> None:
    await bots_of(catalog, "one_bot", "two_bot")
    await catalog.add_link("promo", bot="one_bot")
    await catalog.put_greeting("promo", Greeting(language="pt", text="Oi"))
    before = await catalog.load()
    bad = Button(text="a", url="javascript:alert(1)")
    good = Button(text="a", url="https://example.com/")
    refused = [
        (catalog.put_member("promo", "no_such_bot"), "trilha bot-account add"),
        (catalog.put_member("absent", "two_bot"), "no link"),
        (catalog.put_member("promo", "two_bot", weight=0), "weight"),
        (catalog.put_member("promo", "two_bot", weight=1001), "weight"),
        (catalog.put_member("promo", "one_bot", priority=101), "priority"),
        (catalog.remove_member("promo", "two_bot"), "not in the pool"),
        (catalog.remove_member("promo", "one_bot"), "trilha link pause promo"),
        (catalog.put_greeting("promo", Greeting(language="portuguese", text="a")), "language"),
        (catalog.put_greeting("promo", Greeting(language="pt", text="a", buttons=(bad,))), "button"),
        (catalog.put_greeting("promo", Greeting(language="pt", text="a", buttons=(good,) * 9)), "8 buttons"),
        (catalog.put_greeting("promo", Greeting(language="pt", text="a", photo_url="http://a/")), "picture"),
        (catalog.remove_greeting("promo", "en"), "no greeting in en"),
    ]
    for call, words in refused:
        with pytest.raises(ConfigError, match=words):
            await call
    assert await catalog.load() == before


async def test_a_pool_has_at_most_twenty_bots(catalog: SqlCatalog) -> None:
    names = [f"bot_number_{number}" for number in range(MAX_MEMBERS + 1)]
    await bots_of(catalog, *names)
    await catalog.add_link("promo", bot=names[0])
    for name in names[:-1]:
        await catalog.put_member("promo", name)
    with pytest.raises(ConfigError, match="no more than 20"):
        await catalog.put_member("promo", names[-1])
    assert len((await catalog.put_member("promo", names[3], weight=2)).pool) == MAX_MEMBERS


async def test_of_two_hands_that_take_out_two_bots_at_once_one_is_refused(engine: AsyncEngine) -> None:
    """The check and the change are one: a link never loses its last bot to a race."""
    await migrate(engine)
    hands = [SqlCatalog(engine, ManualClock()) for _ in range(2)]
    await bots_of(hands[0], "one_bot", "two_bot")
    await hands[0].add_link("promo", bot="one_bot")
    await hands[0].put_member("promo", "two_bot")
    taken = [
        hand.remove_member("promo", name) for hand, name in zip(hands, ("one_bot", "two_bot"), strict=True)
    ]
    answers = await asyncio.gather(*taken, return_exceptions=True)
    assert sum(isinstance(answer, ConfigError) for answer in answers) == 1
    assert len((await hands[0].link("promo")).pool) == 1


def move_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    here = MigrationContext.configure(connection).get_current_revision()
    move = command.downgrade if here and here > revision else command.upgrade
    move(config, revision)


async def test_the_bot_of_a_link_becomes_its_pool_and_the_first_of_a_pool_its_bot_again(
    engine: AsyncEngine,
) -> None:
    """Migration 0006, there and back."""
    async with engine.begin() as connection:
        await connection.run_sync(move_to, "0005")
        for name, number in (("one_bot", 1), ("two_bot", 2)):
            await connection.execute(
                text(
                    "INSERT INTO bots (id, username, username_key, created_at) VALUES (:id, :name, :name, :at)"
                ).bindparams(bindparam("at", type_=UtcMillis), id=number, name=name, at=NOW)
            )
        for slug, number, bot in (("led", 1, 2), ("idle", 2, None)):
            await connection.execute(
                text(
                    "INSERT INTO links (id, slug, name, bot_id, created_at) VALUES (:id, :slug, 'n', :bot, :at)"
                ).bindparams(bindparam("at", type_=UtcMillis), id=number, slug=slug, bot=bot, at=NOW)
            )
        await connection.run_sync(move_to, "head")
    catalog = SqlCatalog(engine, ManualClock())
    two = Bot(id=2, username="two_bot")
    led, idle = await catalog.link("led"), await catalog.link("idle")
    assert (led.pool, led.strategy, led.bridge, led.live) == ((Member(bot=two),), "weighted", False, True)
    assert (idle.pool, idle.live) == ((), False)
    await catalog.put_member("led", "one_bot", priority=2)
    async with engine.begin() as connection:
        await connection.run_sync(move_to, "0005")
        rows = (await connection.execute(text("SELECT slug, bot_id FROM links ORDER BY id"))).all()
        assert [tuple(row) for row in rows] == [("led", 2), ("idle", None)]
        await connection.run_sync(move_to, "head")
    assert (await catalog.link("led")).pool == (Member(bot=two),)


OLD_CLICKS = text(
    "INSERT INTO clicks (id, link_id, node, ad_key, spooled) VALUES (:id, :link_id, :node, :ad_key, false)"
).bindparams(bindparam("id", type_=Uuid))
OLD_OUTBOX = text(
    "INSERT INTO outbox (event_id, click_id, event, event_at, pixel_id, state, reason) "
    "VALUES (:id, :id, :event, :at, :pixel_id, :state, :reason)"
).bindparams(bindparam("id", type_=Uuid), bindparam("at", type_=UtcMillis))


async def test_conversions_get_the_lanes_of_their_pixels_and_their_pixels_again(engine: AsyncEngine) -> None:
    """Migration 0007, there and back: pending, skipped, and of no pixel."""
    ids = [new_id(NOW + n) for n in range(3)]
    before = [
        {"id": ids[0], "pixel_id": "123", "state": "pending", "reason": None},
        {"id": ids[1], "pixel_id": "123", "state": "skipped", "reason": "erased"},
        {"id": ids[2], "pixel_id": None, "state": "skipped", "reason": "the link has no pixel"},
    ]
    async with engine.begin() as connection:
        await connection.run_sync(move_to, "0006")
        await connection.execute(
            OLD_CLICKS, [{"id": one, "link_id": 4, "node": 1, "ad_key": b""} for one in ids[:2]]
        )
        await connection.execute(OLD_OUTBOX, [row | {"event": "ViewContent", "at": NOW} for row in before])
        await connection.run_sync(move_to, "head")
        found = (await connection.execute(select(outbox).order_by(outbox.c.event_id))).all()
        assert [(row.event_id, row.click_id, row.state, row.reason) for row in found] == [
            (row["id"], row["id"], row["state"], row["reason"]) for row in before
        ]
        assert [(row.lane, row.link_id) for row in found] == [("meta/123", 4), ("meta/123", 4), ("", None)]
        assert {(row.event, row.event_at, row.next_at, row.attempts) for row in found} == {
            ("ViewContent", NOW, NOW, 0)
        }
        beside = dict(found[0]._mapping) | {"lane": "webhook/crm"}
        of_nobody = beside | {"event_id": new_id(NOW), "lane": "", "click_id": None}
        await connection.execute(outbox.insert(), [beside, of_nobody])
        await connection.execute(outbox.update().where(outbox.c.lane == "meta/123").values(event="v" * 50))
        await connection.run_sync(move_to, "0006")
        rows = (await connection.execute(text("SELECT * FROM outbox ORDER BY click_id"))).all()
        assert [(row.pixel_id, row.state, row.reason) for row in rows] == [
            (row["pixel_id"], row["state"], row["reason"]) for row in before
        ]
        await connection.run_sync(move_to, "head")
        assert await connection.run_sync(differences) == []


def not_a_partition(name: str | None, kind: str, _parents: object) -> bool:
    """Partitions are what PostgreSQL keeps `clicks` in, not tables of their own."""
    return kind != "table" or not is_partition(name or "")


def differences(connection: Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True, "include_name": not_a_partition}
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


async def test_a_pool_is_put_as_a_whole_or_not_at_all(catalog: SqlCatalog) -> None:
    for name in ("um_bot", "dois_bot", "tres_bot"):
        await catalog.add_bot(name)
    pool = [Place(bot="um_bot", weight=3), Place(bot="Dois_Bot", priority=2)]
    made = await catalog.add_link("promo", pool=pool, events_off=["Lead"])
    assert [(m.bot.username, m.weight, m.priority) for m in made.pool] == [
        ("um_bot", 3, 1),
        ("dois_bot", 1, 2),
    ]
    assert made.events_off == ("Lead",)
    version = await catalog.version()
    for wrong in ([], [Place(bot="nobody_bot")], [Place(bot="um_bot"), Place(bot="tres_bot", weight=0)]):
        with pytest.raises(ConfigError):
            await catalog.edit_link("promo", name="other", pool=wrong)
        with pytest.raises(ConfigError):
            await catalog.add_link("other", pool=wrong)
    assert (await catalog.link("promo"), await catalog.version()) == (made, version)
    left = await catalog.edit_link("promo", pool=[Place(bot="tres_bot")])
    assert ([m.bot.username for m in left.pool], left.events_off) == (["tres_bot"], ("Lead",))


async def test_no_pool_is_larger_than_the_bound(catalog: SqlCatalog) -> None:
    names = [f"bot_number_{n}" for n in range(MAX_MEMBERS + 1)]
    for name in names:
        await catalog.add_bot(name)
    with pytest.raises(ConfigError, match="share a link"):
        await catalog.add_link("promo", pool=[Place(bot=name) for name in names])
