"""What the archive has of each row: named columns with types, and how a row of SQL becomes theirs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from analytics.ad_names import Label
from analytics.exports.table import Column, money
from backends.sql.archived import TRAITS, Dataset, Names
from domain.conversions import webhook_of
from domain.ids import uuid7_ms

SCHEMA = 1
"""Grows with every change of the columns or of their meaning: every day is then written anew."""
OwnerKey = Callable[[int], bytes]
Made = Callable[[Any, "Naming"], Iterator[Any]]
OWNER = Column(
    name="owner", kind="text", meaning="only with `--with-owners`: a keyed digest of the Telegram id, in hex"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What numbers are called. owner_key: makes digests of Telegram ids; None: the archive has no owners."""

    names: Names
    owner_key: OwnerKey | None = None

    def link(self, link_id: int | None) -> str | None:
        """The slug; the number of a link that is not there any more."""
        return None if link_id is None else self.names.links.get(link_id, str(link_id))

    def bot(self, bot_id: int | None) -> str | None:
        """The username; the number of a bot that is not there any more."""
        return None if bot_id is None else self.names.bots.get(bot_id, str(bot_id))

    def owner(self, telegram_id: int | None) -> Iterator[str | None]:
        """The digest, where the archive has one."""
        if self.owner_key is not None:
            yield None if telegram_id is None else self.owner_key(telegram_id).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveTable:
    """One folder of the archive. made: the cells of a row of SQL, in the order of the columns. time: its row's, milliseconds."""

    name: Dataset
    columns: tuple[Column, ...]
    made: Made
    with_owner: bool

    def columns_with(self, *, owners: bool) -> tuple[Column, ...]:
        """The columns, with owners or without."""
        return (*self.columns, OWNER) if owners and self.with_owner else self.columns


def _click(row: Any, naming: Naming) -> Iterator[Any]:
    yield row.id.bytes
    yield uuid7_ms(row.id)
    yield row.link_id
    yield naming.link(row.link_id)
    yield bytes(row.ad_key).hex()
    yield row.source
    for text in (row.campaign, row.medium, row.content):
        label = None if text is None else Label.of(text)
        yield label and label.name
        yield label and label.id
    yield row.term
    yield from (getattr(row, name) for name in TRAITS)
    yield bool(row.with_fbclid) and not row.erased
    yield row.started_at
    yield naming.bot(row.owner_bot_id)
    yield bool(row.erased)
    yield from naming.owner(row.owner_telegram_id)


def _start(row: Any, naming: Naming) -> Iterator[Any]:
    yield row.started_at
    yield naming.bot(row.bot_id)
    yield row.kind
    yield row.click_id and row.click_id.bytes
    yield row.reply
    yield row.replied_at
    yield from naming.owner(row.telegram_id)


def _conversion(row: Any, naming: Naming) -> Iterator[Any]:
    yield row.event_id.bytes
    yield row.event_at
    yield row.event
    yield webhook_of(row.lane) is None
    yield row.lane
    yield row.click_id and row.click_id.bytes
    yield row.link_id
    yield naming.link(row.link_id)
    yield None if row.ad_key is None else bytes(row.ad_key).hex()
    yield None if row.value is None else money(row.value)
    yield row.currency
    yield row.state
    yield row.reason
    yield row.attempts
    yield row.sent_at


def _columns(*said: tuple[str, Any, str]) -> tuple[Column, ...]:
    return tuple(Column(name=name, kind=kind, meaning=meaning) for name, kind, meaning in said)


CLICKS = ArchiveTable(
    name="clicks",
    made=_click,
    with_owner=True,
    columns=_columns(
        ("id", "uuid", "the click's id (UUIDv7), the same as in `trilha explain`"),
        ("clicked_at", "moment", "when the visitor clicked"),
        ("link_id", "int", "the link's number"),
        ("link", "text", "its slug when the day was written; its number once it is deleted"),
        ("ad_key", "text", "the digest of the ad's names, in hex"),
        ("source", "text", "`utm_source`"),
        ("campaign", "text", "`utm_campaign` without the id"),
        ("campaign_id", "text", "Meta's id, of `name|id`"),
        ("ad_set", "text", "`utm_medium` without the id"),
        ("ad_set_id", "text", "its id"),
        ("ad", "text", "`utm_content` without the id"),
        ("ad_id", "text", "its id"),
        ("placement", "text", "`utm_term`"),
        ("referer_host", "text", "host of the page that led here"),
        ("gpc", "flag", "whether the browser asked for no sale and no sharing (`Sec-GPC`)"),
        ("country", "text", "ISO 3166 alpha-2; null: not known"),
        ("region", "text", "as GeoIP names it"),
        ("city", "text", "likewise"),
        ("asn", "int", "the network's number"),
        ("device", "text", "phone, tablet, desktop …"),
        ("os", "text", "operating system, without its version"),
        ("browser", "text", "browser, without its version"),
        ("app", "text", "the app that the page was opened in"),
        ("automation", "text", "what drives the browser, if something does"),
        ("robot", "text", "the robot that it says it is"),
        ("traffic_class", "text", "traffic class; null while it is not known, and of erased clicks"),
        ("tentative", "flag", "whether a start may still change the class"),
        ("repeats", "int", "clicks of the same visitor on the same link in the same minute"),
        ("bot_score", "int", "0 to 100"),
        ("fraud_score", "int", "0 to 100"),
        ("with_fbclid", "flag", "whether the click came with an fbclid"),
        ("started_at", "moment", "when its owner pressed START; null: nobody has"),
        ("bot", "text", "the bot that they started"),
        ("erased", "flag", "whether its owner was erased: nothing of the visitor is left then"),
    ),
)
STARTS = ArchiveTable(
    name="starts",
    made=_start,
    with_owner=True,
    columns=_columns(
        ("started_at", "moment", "when START was pressed"),
        ("bot", "text", "the bot's username; its number once it is deleted"),
        ("kind", "text", "attributed, taken or direct"),
        ("click_id", "uuid", "the click that its token names; null: direct"),
        ("reply", "text", "sent, or refused by Telegram; null: not answered yet"),
        ("replied_at", "moment", "when"),
    ),
)
CONVERSIONS = ArchiveTable(
    name="conversions",
    made=_conversion,
    with_owner=False,
    columns=_columns(
        ("event_id", "uuid", "the event's id, the same in every lane"),
        ("event_at", "moment", "when it happened"),
        ("event", "text", "Purchase, Lead …"),
        ("counted", "flag", "true in one row of each event: add up those"),
        ("lane", "text", "where it goes: `meta/PIXEL`, `webhook/NAME`; empty: nowhere"),
        ("click_id", "uuid", "the click that it belongs to"),
        ("link_id", "int", "that click's link"),
        ("link", "text", "its slug, as above"),
        ("ad_key", "text", "that click's ad"),
        ("value", "money", "in that currency; null: none"),
        ("currency", "text", "ISO 4217"),
        ("state", "text", "pending, sent, rejected, dead or skipped"),
        ("reason", "text", "why, of the last three"),
        ("attempts", "int", "how often something came of sending it"),
        ("sent_at", "moment", "when the destination has taken it"),
    ),
)
TABLES: Sequence[ArchiveTable] = (CLICKS, STARTS, CONVERSIONS)
