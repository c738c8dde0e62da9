"""What a report must say is refused by name where it does not; what it need not say is left out and named."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.particulars import (
    Content,
    Item,
    custom_of,
    event_name,
    moment_of,
    money_of,
    needed,
    order_key,
)
from domain.conversions import LEAD, PURCHASE, Money
from domain.errors import InvalidConversion

NOW = 1_800_000_000_000


@given(micros=st.integers(0, 10**15))
def test_an_amount_is_exact_as_text_and_as_a_number(micros: int) -> None:
    text = f"{micros // 10**6}.{micros % 10**6:06}"
    wanted = Money(micros=micros, currency="BRL")
    assert money_of(text, "brl") == money_of(float(text), "BRL") == wanted


@given(st.floats() | st.text(max_size=30) | st.integers())
def test_whatever_comes_as_an_amount_is_exact_or_refused(value: Any) -> None:
    try:
        money = money_of(value, "BRL")
    except InvalidConversion:
        return
    assert money is not None
    assert Decimal(str(value)) * 10**6 == money.micros <= 10**15


@pytest.mark.parametrize(
    "value",
    [-1, -0.01, 1e9 + 1, 10**400, float("nan"), float("inf"), 0.0000001, "1e3", "NaN", "-1", "1,5", "", " 1",
     "1.0000001", "１", "1_0", "0x1", "1\n", True],
)  # fmt: skip
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(InvalidConversion, match="value"):
        money_of(value, "BRL")


@pytest.mark.parametrize("currency", [None, "", "R$", "BR", "BRLX", "B1L", "ÇÇÇ", "BRL\n"])
def test_an_amount_needs_a_currency(currency: str | None) -> None:
    with pytest.raises(InvalidConversion, match="currency"):
        money_of("1", currency)
    assert money_of(None, None) is None


def test_a_purchase_says_what_it_lacks_and_other_events_need_nothing() -> None:
    money = Money(micros=0, currency="BRL")
    needed(LEAD, None, None)
    needed(PURCHASE, money, "1")
    for given_, lacks in (
        ((None, None), "value, currency, order_id"),
        ((money, None), "order_id"),
        ((None, "1"), "value, currency"),
    ):
        with pytest.raises(InvalidConversion, match=f"needs: {lacks}$"):
            needed(PURCHASE, *given_)


@pytest.mark.parametrize("name", ["Purchase", "Lead", "x", "Compra VIP 2", "a" * 50, "-", "_a-b"])
def test_names_of_events_that_may_be_reported(name: str) -> None:
    assert event_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " ", "a" * 51, " a", "a ", "a\n", "ação", "a.b", "PageView", "ViewContent", "<b>"]
)
def test_other_names_of_events_are_refused_without_being_repeated(name: str) -> None:
    with pytest.raises(InvalidConversion) as refused:
        event_name(name)
    assert name not in {"<b>", "a.b"} or name not in str(refused.value)


@pytest.mark.parametrize("order", ["", " ", "a" * 101, "a\nb", "a\x00", "\u200b"])
def test_an_order_id_is_short_and_printable(order: str) -> None:
    with pytest.raises(InvalidConversion, match="order_id"):
        order_key(order)
    assert order_key("Pedido nº 1001/A") == "Pedido nº 1001/A"


@given(st.integers(0, 7_000_000), st.integers(-840, 840))
def test_a_time_is_the_same_in_every_zone(seconds: int, minutes: int) -> None:
    at = datetime.fromtimestamp(NOW / 1000 - seconds, timezone(timedelta(minutes=minutes)))
    assert moment_of(at.isoformat(), NOW) == NOW - seconds * 1000


def test_no_time_is_now_and_a_minute_ahead_is_for_clocks_that_differ() -> None:
    now = datetime.fromtimestamp(NOW / 1000, UTC)
    assert moment_of(None, NOW) == NOW
    assert moment_of((now + timedelta(seconds=60)).isoformat(), NOW) == NOW + 60_000
    with pytest.raises(InvalidConversion, match="future"):
        moment_of((now + timedelta(seconds=61)).isoformat(), NOW)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-24", "2026-11-24T10:00:00", "0001-01-01T00:00:00+14:00", "9" * 5000, "1e9"]
)
def test_a_time_without_an_offset_or_of_no_use_is_refused(text: str) -> None:
    with pytest.raises(InvalidConversion, match="at:"):
        moment_of(text, NOW)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with suppress(InvalidConversion):
        assert moment_of(text, NOW) <= NOW + 60_000


def test_what_was_sold_is_as_meta_has_it() -> None:
    items = [Item(id="a", quantity=2, item_price="48.50"), Item(id="b", item_price=1), Item(id="c")]
    custom = custom_of(Content(contents=items, content_name="Curso", num_items=3))
    lines = [{"id": "a", "quantity": 2, "item_price": 48.5}, {"id": "b", "item_price": 1.0}, {"id": "c"}]
    assert custom.data == {"contents": lines, "content_name": "Curso", "num_items": 3}
    assert custom.ignored == ()
    assert custom_of(Content()).data == {}


@pytest.mark.parametrize(
    ("content", "ignored"),
    [
        (Content(contents=[Item(id="a")] * 51), "contents"),
        (Content(contents=[Item(id="a"), Item(id="")]), "contents"),
        (Content(contents=[Item(id="a" * 101)]), "contents"),
        (Content(contents=[Item(id="a", quantity=0)]), "contents"),
        (Content(contents=[Item(id="a", item_price="x")]), "contents"),
        (Content(content_name="a\x00"), "content_name"),
        (Content(content_category=""), "content_category"),
        (Content(content_type="x" * 201), "content_type"),
        (Content(num_items=-1), "num_items"),
        (Content(num_items=2**70), "num_items"),
    ],
)
def test_what_was_sold_and_cannot_be_used_is_left_out_and_named(content: Content, ignored: str) -> None:
    custom = custom_of(content)
    assert (custom.data, custom.ignored) == ({}, (ignored,))
