"""Tables. A test holds them equal to the migrations."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    Uuid,
    false,
    literal_column,
)


class UtcMillis(TypeDecorator[int]):
    """UTC milliseconds since the epoch in Python, a timestamp in SQL (timestamptz on PostgreSQL). No local times."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Milliseconds to an aware time."""
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002
        """A time, taken for UTC where the engine forgot the zone (SQLite), to milliseconds."""
        if value is None:
            return None
        aware: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1000)


NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)

bots = Table(
    "bots",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("username", String(32), nullable=False),
    Column("username_key", String(32), nullable=False, unique=True),
    Column("created_at", UtcMillis, nullable=False),
    # How it is, as a worker that can reach Telegram has seen it; a change raises the catalog's version.
    Column("health", String(12), nullable=False, server_default="unknown"),
    Column("health_at", UtcMillis),
    # Its own Telegram id and its token, sealed under the key ring; NULL: a file names it, or another program is the bot.
    Column("telegram_id", BigInteger),
    Column("token", LargeBinary),
    # SHA-256 of the secret that Telegram sends along to the webhook.
    Column("webhook_key", LargeBinary(32)),
    # The one worker that is this bot at the moment, and until when nobody else may be.
    Column("worker", String(32)),
    Column("worker_until", UtcMillis),
    # What that worker has heard from Telegram last, and up to where all updates are done.
    Column("heard_at", UtcMillis),
    Column("checked_at", UtcMillis),
    Column("update_pts", Integer),
    Column("update_qts", Integer),
    Column("update_date", Integer),
)

pixels = Table(
    "pixels",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("created_at", UtcMillis, nullable=False),
    # Its access token, and the secret of the app that the token is of, both sealed under the key ring.
    Column("token", LargeBinary),
    Column("app_secret", LargeBinary),
)

# Further destinations of conversions: every one of them is posted there, signed with the (sealed) secret.
webhooks = Table(
    "webhooks",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("url", String(2000), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", UtcMillis, nullable=False),
)

# How each lane to a destination is: held until the operator has mended something, last accepted, warned.
lanes = Table(
    "lanes",
    metadata,
    Column("lane", String(60), primary_key=True),
    Column("held_at", UtcMillis),
    Column("hold_reason", String(200)),
    Column("sent_at", UtcMillis),
    Column("warning", String(200)),
)

links = Table(
    "links",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", String(64), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("strategy", String(12), nullable=False, server_default="weighted"),
    Column("bridge", Boolean, nullable=False, server_default=false()),
    Column("fallback_url", String(2000)),
    Column("pixel_id", String(20), ForeignKey("pixels.id")),
    # Names of events that are not reported, with spaces between them.
    Column("events_off", String(500), nullable=False, server_default="PageView"),
    Column("created_at", UtcMillis, nullable=False),
)

# The pool of a link. Lower priorities come first; weights share among those of one priority.
link_bots = Table(
    "link_bots",
    metadata,
    Column("link_id", Integer, ForeignKey("links.id"), primary_key=True, autoincrement=False),
    Column("bot_id", Integer, ForeignKey("bots.id"), primary_key=True, autoincrement=False),
    Column("weight", Integer, nullable=False, server_default="1"),
    Column("priority", Integer, nullable=False, server_default="1"),
)

# What a link's bots answer to a start, by language (a lower-case tag such as pt or en).
greetings = Table(
    "greetings",
    metadata,
    Column("link_id", Integer, ForeignKey("links.id"), primary_key=True, autoincrement=False),
    Column("language", String(8), primary_key=True),
    Column("text", String(4096), nullable=False),
    Column("buttons", JSON, nullable=False),
    Column("photo_url", String(2000)),
)

# One row, whose version grows in the transaction of every change of links, bots and pixels.
catalog = Table(
    "catalog",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)

# Two facts about one token, one row, each set once: the click (clicked_at is set) and the start (owner_* are set).
clicks = Table(
    "clicks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("link_id", Integer, nullable=False),
    Column("node", Integer, nullable=False),
    Column("ad_key", LargeBinary(8), nullable=False),
    Column("clicked_at", UtcMillis),
    Column("method", String(4)),
    Column("params", JSON(none_as_null=True)),
    Column("referer_host", String(255)),
    Column("language", String(64)),
    Column("prefetch", String(32)),
    Column("visitor_key", LargeBinary(16)),
    Column("visitor_period", Integer),
    Column("fbclid_key", LargeBinary(16)),
    Column("sealed", LargeBinary),
    # Whether the visitor's browser asked for no sale and no sharing (Sec-GPC).
    Column("gpc", Boolean),
    Column("owner_bot_id", Integer),
    Column("owner_telegram_id", BigInteger),
    Column("started_at", UtcMillis),
    # True once settled from a spool: what the books compare with the spools' own counts (I8).
    Column("spooled", Boolean, nullable=False, server_default=false()),
    # A tombstone: neither fact is ever set again (I5).
    Column("erased_at", UtcMillis),
    # Derived when it is settled, and again by whoever scores; traffic_class is NULL until then.
    Column("country", String(2)),
    Column("region", String(80)),
    Column("city", String(120)),
    Column("asn", BigInteger),
    Column("geo_source", String(60)),
    Column("device", String(8)),
    Column("os", String(40)),
    Column("os_version", String(40)),
    Column("browser", String(40)),
    Column("browser_version", String(40)),
    Column("app", String(40)),
    Column("automation", String(8)),
    Column("robot", String(40)),
    Column("traffic_class", String(10)),
    Column("tentative", Boolean),
    Column("evidence", JSON(none_as_null=True)),
    # Clicks of the same visitor on the same link in the same minute, as the worker had seen by then.
    Column("repeats", Integer),
    Column("bot_score", Integer),
    Column("fraud_score", Integer),
    Column("reasons", JSON(none_as_null=True)),
    Column("baseline_bot", Integer),
    Column("baseline_fraud", Integer),
    # When its start was counted into the scores, or that there is none although there should be.
    Column("scored_at", UtcMillis),
    # The person first: whoever is to be exported or erased is asked for without a bot.
    Index("ix_clicks_owner", "owner_telegram_id", "owner_bot_id"),
    Index("ix_clicks_fbclid_key", "fbclid_key"),
)
# Small: only clicks with an owner are in the first, only those that wait for the worker in the second.
_owned = clicks.c.owner_telegram_id.is_not(None)
unscored = (
    clicks.c.clicked_at.is_not(None)
    & clicks.c.erased_at.is_(None)
    & (clicks.c.traffic_class.is_(None) | ((_owned | clicks.c.tentative) & clicks.c.scored_at.is_(None)))
)
Index(
    "ix_clicks_owned_visitor",
    clicks.c.visitor_key,
    clicks.c.started_at,
    sqlite_where=_owned,
    postgresql_where=_owned,
)
Index("ix_clicks_unscored", clicks.c.id, sqlite_where=unscored, postgresql_where=unscored)
# Only the originals that are still there: what retention looks for, whatever has come late.
has_original = clicks.c.sealed.is_not(None)
Index("ix_clicks_sealed", clicks.c.id, sqlite_where=has_original, postgresql_where=has_original)

# What is left of clicks once they are deleted: numbers. Days are UTC; '' is a country that was not known.
click_totals = Table(
    "click_totals",
    metadata,
    Column("day", Date, primary_key=True),
    Column("link_id", Integer, primary_key=True, autoincrement=False),
    Column("ad_key", LargeBinary(8), primary_key=True),
    Column("country", String(2), primary_key=True),
    Column("traffic_class", String(10), primary_key=True),
    Column("clicks", Integer, nullable=False),
    Column("starts", Integer, nullable=False),
)

ads = Table(
    "ads",
    metadata,
    Column("link_id", Integer, primary_key=True, autoincrement=False),
    Column("ad_key", LargeBinary(8), primary_key=True),
    Column("source", String, nullable=False),
    Column("campaign", String, nullable=False),
    Column("medium", String, nullable=False),
    Column("content", String, nullable=False),
    Column("term", String, nullable=False),
)

starts = Table(
    "starts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("bot_id", Integer, nullable=False),
    Column("telegram_id", BigInteger, nullable=False),
    Column("started_at", UtcMillis, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("click_id", Uuid),
    # What became of its answer: NULL not yet, "sent", or "refused" by Telegram for good.
    Column("reply", String(8)),
    Column("replied_at", UtcMillis),
    Index("ix_starts_person", "telegram_id", "bot_id", "started_at"),
    Index("ix_starts_click_id", "click_id"),
)
_direct = starts.c.click_id.is_(None)
Index("ix_starts_direct", starts.c.started_at, sqlite_where=_direct, postgresql_where=_direct)

# People of a bot: their first and last start, and the clicks of the first and last start that won one. What is known
# of those clicks stays in `clicks`.
bot_users = Table(
    "bot_users",
    metadata,
    Column("bot_id", Integer, primary_key=True, autoincrement=False),
    Column("telegram_id", BigInteger, primary_key=True, autoincrement=False),
    Column("first_started_at", UtcMillis, nullable=False),
    Column("last_started_at", UtcMillis, nullable=False),
    Column("first_click_id", Uuid),
    Column("first_click_at", UtcMillis),
    Column("last_click_id", Uuid),
    Column("last_click_at", UtcMillis),
    # Whether the person has blocked the bot, as of when; a start unblocks.
    Column("blocked", Boolean, nullable=False, server_default=false()),
    Column("blocked_at", UtcMillis),
    Index("ix_bot_users_person", "telegram_id"),
    Index("ix_bot_users_last_started_at", "last_started_at"),
)

# A conversion for each lane that it is to go through. What is claimed is due again at `next_at`, should its relay die.
outbox = Table(
    "outbox",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("lane", String(60), primary_key=True),
    Column("event", String(50), nullable=False),
    Column("event_at", UtcMillis, nullable=False),
    # Whose it is: by the click, whose owner is the person, or by the person, or (a click that has yet to come) by both.
    Column("click_id", Uuid),
    Column("link_id", Integer),
    # The ad of that click, which the rollups count it to.
    Column("ad_key", LargeBinary(8)),
    Column("bot_id", Integer),
    Column("telegram_id", BigInteger),
    # Millionths of the currency.
    Column("value", BigInteger),
    Column("currency", String(3)),
    Column("order_id", String(100)),
    Column("custom", JSON(none_as_null=True)),
    # Digests of e-mail, phone, name … by Meta's short names.
    Column("person", JSON(none_as_null=True)),
    Column("state", String(8), nullable=False),
    Column("reason", String(200)),
    # The destination's own code for it, and its name for the call.
    Column("code", String(20)),
    Column("trace", String(100)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", UtcMillis, nullable=False),
    Column("sent_at", UtcMillis),
    # What of the person was sent, as the destination calls it: "client_ip_address em fbc …".
    Column("matched", String(200)),
    Index("ix_outbox_click_id", "click_id"),
    Index("ix_outbox_event_at", "event_at"),
)
# Small: what waits, by destination and time; what failed; conversions that say who they are of, or hold digests. Written
# out as SQL: a state that is a parameter keeps SQLite from using them.
is_pending = outbox.c.state == literal_column("'pending'")
# With the time of the event: how old the oldest of a queue is, is read off it.
Index(
    "ix_outbox_due",
    outbox.c.lane,
    outbox.c.next_at,
    outbox.c.event_at,
    sqlite_where=is_pending,
    postgresql_where=is_pending,
)
has_failed = outbox.c.state.in_([literal_column("'rejected'"), literal_column("'dead'")])
Index("ix_outbox_failed", outbox.c.event_at, sqlite_where=has_failed, postgresql_where=has_failed)
_of_person = outbox.c.telegram_id.is_not(None)
Index(
    "ix_outbox_person",
    outbox.c.telegram_id,
    outbox.c.bot_id,
    sqlite_where=_of_person,
    postgresql_where=_of_person,
)
has_digests = outbox.c.person.is_not(None)
Index("ix_outbox_digests", outbox.c.event_at, sqlite_where=has_digests, postgresql_where=has_digests)
_of_order = outbox.c.order_id.is_not(None)
Index("ix_outbox_order", outbox.c.order_id, sqlite_where=_of_order, postgresql_where=_of_order)

accounting = Table(
    "accounting",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("boot", String(32), primary_key=True),
    Column("minute", Integer, primary_key=True, autoincrement=False),
    *(
        Column(name, Integer, nullable=False, server_default="0")
        for name in ("issued", "synced", "written", "token_only", "visible", "spooled")
    ),
    Index("ix_accounting_minute", "minute"),
)

# Keys that nodes share, under a master secret that is never here. No row leaves: a key that is destroyed stays a tombstone.
shared_keys = Table(
    "shared_keys",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("copy", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary),
    Column("master_id", String(16), nullable=False),
    Column("created_at", UtcMillis, nullable=False),
    Column("active_from", UtcMillis),
    Column("destroyed_at", UtcMillis),
)

# Who was erased, by a keyed digest of the Telegram id: starts of before are never settled.
erasures = Table(
    "erasures",
    metadata,
    Column("person_key", LargeBinary(16), primary_key=True),
    Column("erased_at", UtcMillis, nullable=False),
)

# Copies of erased clicks that are still to be discarded elsewhere: in "redis", in a "spool".
unerased = Table(
    "unerased",
    metadata,
    Column("click_id", Uuid, primary_key=True),
    Column("store", String(8), primary_key=True),
)

# What was done with personal data, in counts. Triggers refuse to change it.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcMillis, nullable=False),
    Column("action", String(40), nullable=False),
    Column("detail", JSON, nullable=False),
)
