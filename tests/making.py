"""Clicks, starts and stores for tests: plain builders, no pytest in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from backends.breaker import Breaker, Policy
from backends.disk import DiskStore
from backends.spool import Spool
from backends.tier import Tier, TierStore
from domain.attribution import ClickRef, Owner, Start
from domain.books import BookEntry
from domain.click import Click
from domain.clock import Clock, ManualClock
from domain.conversions import Conversion, Money
from domain.ids import ClickIds
from domain.observations import Observer, Silent

NOW = 1_800_000_000_000
PATIENT = 30.0  # no test waits for it: it only has to be longer than the slowest machine
_ids = ClickIds()


def new_id(at_ms: int = NOW) -> UUID:
    return _ids.new(at_ms)


def bare_click(**changes: Any) -> Click:
    """A click of a visit that told nothing."""
    return Click(**({"id": new_id(), "link_id": 1, "node": 0, "ad_key": b"\0" * 8} | changes))


def full_click(**changes: Any) -> Click:
    """A click with every field set, its parameters out of alphabetical order and beyond ASCII."""
    params = {"utm_term": "ação é", "utm_source": "fb", "zeta": "", "utm_campaign": "日本 🚀", "a": "1&2=3"}
    return bare_click(
        **{
            "link_id": 0xFF_FFFF,
            "node": 0xFFFF,
            "ad_key": bytes(range(8)),
            "method": "HEAD",
            "params": params,
            "referer_host": "l.facebook.com",
            "language": "pt-BR,pt;q=0.9",
            "prefetch": "prefetch",
            "visitor_key": bytes(range(16)),
            "visitor_period": 20_833,
            "fbclid_key": bytes(range(16, 32)),
            "sealed": bytes(range(256)),
            "gpc": True,
        }
        | changes
    )


def ref(click: Click) -> ClickRef:
    return ClickRef(id=click.id, link_id=click.link_id, node=click.node, ad_key=click.ad_key)


def person_key(telegram_id: int) -> bytes:
    """Stands for a key ring's where nobody minds which."""
    return telegram_id.to_bytes(16, "big")


def start_of(
    click: Click, person: int = 7, *, at_ms: int = NOW + 1000, update_id: int | None = None
) -> Start:
    owner = Owner(bot_id=1, telegram_id=person)
    return Start.with_token(owner, ref(click), at_ms=at_ms, update_id=update_id)


def make_tier(
    name: str, store: TierStore, clock: Clock | None = None, observer: Observer | None = None
) -> Tier:
    return Tier(
        name=name,
        store=store,
        breaker=Breaker(Policy(), lambda base, spread: base),
        patience=PATIENT,
        slow=PATIENT,
        clock=clock or ManualClock(),
        observer=observer or Silent(),
    )


def make_spool(folder: Path, *, quota: int = 1 << 30, boot: str = "boot") -> Spool:
    return Spool(folder, quota=quota, synced=True, node=3, boot=boot)


def spool_beside(folder: Path) -> Spool:
    """The spool as another process than its writer opens it."""
    return Spool(folder, quota=1 << 30, synced=True)


def make_disk(folder: Path, *, quota: int = 1 << 30) -> DiskStore:
    return DiskStore(lambda: make_spool(folder, quota=quota), synced=True)


# ---------------------------------------------------------------- strategies

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_times = st.integers(0, (1 << 48) - 1)


def _optional(size: int) -> st.SearchStrategy[bytes | None]:
    return st.none() | st.binary(min_size=size, max_size=size)


clicks = st.builds(
    Click,
    id=_times.map(new_id),
    link_id=st.integers(0, 0xFF_FFFF),
    node=st.integers(0, 0xFFFF),
    ad_key=st.binary(min_size=8, max_size=8),
    method=st.sampled_from(["GET", "HEAD"]),
    params=st.dictionaries(_text, _text, max_size=6),
    referer_host=_text,
    language=_text,
    prefetch=_text,
    visitor_key=_optional(16),
    visitor_period=st.none() | st.integers(0, 100_000),
    fbclid_key=_optional(16),
    sealed=st.none() | st.binary(max_size=300),
    gpc=st.booleans(),
)
owners = st.builds(Owner, bot_id=st.integers(1, 2**31 - 1), telegram_id=st.integers(1, 2**52))
refs = st.builds(
    ClickRef,
    id=_times.map(new_id),
    link_id=st.integers(0, 0xFF_FFFF),
    node=st.integers(0, 0xFFFF),
    ad_key=st.binary(min_size=8, max_size=8),
)
starts = st.builds(Start, id=st.uuids(), owner=owners, at_ms=_times, click=st.none() | refs)
_json = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | _text
conversions = st.builds(
    Conversion,
    id=st.uuids(),
    event=st.text("abcXYZ_- 1", min_size=1, max_size=50),
    at_ms=_times,
    owner=st.none() | owners,
    click=st.none() | refs,
    order_id=st.none() | _text,
    money=st.none()
    | st.builds(Money, micros=st.integers(0, 10**15), currency=st.text("ABC", min_size=3, max_size=3)),
    custom=st.dictionaries(
        _text, _json | st.lists(st.dictionaries(_text, _json, max_size=3), max_size=3), max_size=4
    ),
    person=st.dictionaries(
        st.sampled_from(["em", "ph", "fn", "ct"]),
        st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), max_size=2).map(tuple),
    ),
)
_figure = st.integers(0, 2**31 - 1)
book_entries = st.builds(
    BookEntry,
    node=st.integers(0, 0xFFFF),
    boot=st.text("0123456789abcdef", min_size=1, max_size=12),
    minute=st.integers(0, 2**31 - 1),
    issued=_figure,
    synced=_figure,
    written=_figure,
    token_only=_figure,
    visible=_figure,
    spooled=_figure,
)
