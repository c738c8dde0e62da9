"""Tables of the rollups: what reports and dashboards read, and the changes that are still to be folded into them.

A change is what one row of `clicks`, `starts` or `outbox` counts for: `sign` is 1 for what it counts for now, -1 for what it
counted for before. Triggers write changes in the transaction that they are of; whoever folds adds them to the rollups and
deletes them in one transaction. So at every moment the rollups plus what waits are equal to a recount.

Hours and days are the operator's: `hour` is the hour's beginning in minutes since the epoch, `day` the local day as YYYYMMDD.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table

from backends.sql.schema import UtcMillis, metadata

_Key = Column[Any]
# On SQLite a rollup is its primary key's tree: half the size of a table with an index beside it.
_ONE_TREE: dict[str, Any] = {"sqlite_with_rowid": False}


def _int(name: str, kind: Any = Integer) -> _Key:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _text(name: str, length: int) -> _Key:
    return Column(name, String(length), primary_key=True)


def _sums(*names: str) -> list[_Key]:
    return [Column(name, BigInteger, nullable=False, server_default="0") for name in names]


# `moment`: the first 12 hexadecimal digits of the click's id, which are its milliseconds since the epoch.
click_changes = Table(
    "click_changes",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("sign", Integer, nullable=False),
    Column("moment", String(12), nullable=False),
    Column("link_id", Integer, nullable=False),
    Column("ad_key", LargeBinary(8), nullable=False),
    # Whether SQL has the click, not only its start; whether it was erased since.
    Column("clicked", Boolean, nullable=False),
    Column("erased", Boolean, nullable=False),
    Column("started_at", UtcMillis),
    Column("country", String(2)),
    Column("region", String(80)),
    Column("city", String(120)),
    Column("device", String(8)),
    Column("os", String(40)),
    Column("browser", String(40)),
    Column("app", String(40)),
    Column("traffic_class", String(10)),
    Column("bot_score", Integer),
    Column("fraud_score", Integer),
    Column("has_address", Boolean, nullable=False),
    Column("has_agent", Boolean, nullable=False),
    Column("has_fbclid", Boolean, nullable=False),
)

start_changes = Table(
    "start_changes",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("sign", Integer, nullable=False),
    Column("started_at", UtcMillis, nullable=False),
    Column("bot_id", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
)

# `moment` as above, of the click that the event belongs to; NULL without one.
event_changes = Table(
    "event_changes",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("sign", Integer, nullable=False),
    Column("event", String(50), nullable=False),
    Column("event_at", UtcMillis, nullable=False),
    Column("moment", String(12)),
    Column("link_id", Integer),
    Column("ad_key", LargeBinary(8)),
    Column("lane", String(60), nullable=False),
    Column("state", String(8), nullable=False),
    Column("reason", String(200)),
    Column("value", BigInteger),
    Column("currency", String(3)),
)

# One row: the time zone that hours and days are of.
rollup_state = Table("rollup_state", metadata, _int("id"), Column("zone", String(64), nullable=False))

# By the moment of the click. Traits: "" (all of them), "class". `starts`: those of them that were started, whenever.
# `alone`: starts whose click SQL does not have (yet), known by their tokens only: not among `starts`.
rollup_hours = Table(
    "rollup_hours",
    metadata,
    _text("trait", 12),
    _int("hour"),
    _int("link_id"),
    _text("value", 120),
    *_sums("clicks", "starts", "alone"),
    **_ONE_TREE,
)

# Traits: "", class, device, os, browser, app, country, region, city ("" not known), bot_score and fraud_score (the ten that
# it is in: "0", "10" … "100"; "" not scored), address, agent and fbclid ("1" known, "" not), erased ("1"), wait (of starts;
# see domain/rollups.py; `wait_ms` is the sum, kept there only). An erased click counts in "" and in erased, a start that is
# alone in "" only.
rollup_days = Table(
    "rollup_days",
    metadata,
    _text("trait", 12),
    _int("day"),
    _int("link_id"),
    _text("value", 120),
    *_sums("clicks", "starts", "alone", "wait_ms"),
    **_ONE_TREE,
)

# Traits: "", class, wait.
rollup_ads = Table(
    "rollup_ads",
    metadata,
    _text("trait", 12),
    _int("day"),
    _int("link_id"),
    Column("ad_key", LargeBinary(8), primary_key=True),
    _text("value", 120),
    *_sums("clicks", "starts", "alone", "wait_ms"),
    **_ONE_TREE,
)

# Starts by their own moment and kind: attributed, taken, direct …
rollup_starts = Table(
    "rollup_starts",
    metadata,
    _int("day"),
    _int("bot_id"),
    _text("kind", 16),
    *_sums("starts"),
    **_ONE_TREE,
)

# Deliveries by the moment of the event: every lane's. An event as such is its row in a lane that is no webhook's: it has one.
rollup_deliveries = Table(
    "rollup_deliveries",
    metadata,
    _int("day"),
    _int("link_id"),
    _text("lane", 60),
    _text("event", 50),
    _text("currency", 3),
    _text("state", 8),
    _text("reason", 200),
    *_sums("events", "micros"),
    **_ONE_TREE,
)

# Events, each once, by their own moment.
rollup_events = Table(
    "rollup_events",
    metadata,
    _int("hour"),
    _int("link_id"),
    _text("event", 50),
    _text("currency", 3),
    *_sums("events", "micros"),
    **_ONE_TREE,
)

# Events, each once, by the moment of the click that they belong to: what an ad has sold.
rollup_sales = Table(
    "rollup_sales",
    metadata,
    _int("day"),
    _int("link_id"),
    Column("ad_key", LargeBinary(8), primary_key=True),
    _text("event", 50),
    _text("currency", 3),
    *_sums("events", "micros"),
    **_ONE_TREE,
)

ROLLUPS = (
    rollup_hours, rollup_days, rollup_ads, rollup_starts, rollup_deliveries, rollup_events, rollup_sales,
)  # fmt: skip
CHANGES = (click_changes, start_changes, event_changes)
