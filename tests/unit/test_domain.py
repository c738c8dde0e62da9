"""Ids, codec, books and validators of links."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.codec import FORMAT, MAX_RECORD, decode, decode_click, encode
from domain.attribution import Start
from domain.books import MINUTE_MS, BookEntry, ReceiptBook
from domain.click import Click
from domain.conversions import Conversion
from domain.errors import ConfigError, RecordRejected
from domain.ids import ClickIds, first_uuid7, jitter, named_uuid, uuid7_ms
from domain.links import (
    Bot,
    Button,
    Catalog,
    Link,
    Member,
    valid_button,
    valid_buttons,
    valid_fallback,
    valid_language,
    valid_photo,
    valid_pixel,
    valid_slug,
    valid_username,
)
from domain.outcomes import Durability, Receipt
from tests.making import bare_click, book_entries, clicks, conversions, full_click, new_id, start_of, starts

times = st.integers(0, 2**48 - 1)


@given(times, times)
def test_click_ids_carry_their_millisecond_and_sort_by_it(one: int, other: int) -> None:
    first, second = new_id(one), new_id(other)
    assert (uuid7_ms(first), first.version, first.variant) == (one, 7, "specified in RFC 4122")
    assert one == other or (first < second) == (one < other)
    assert first_uuid7(one) <= first


def test_two_ids_of_one_millisecond_differ() -> None:
    assert len({ClickIds().new(5) for _ in range(1000)}) == 1000


def test_the_same_name_gives_the_same_id_in_its_namespace_only() -> None:
    assert named_uuid("start", "a") == named_uuid("start", "a") != named_uuid("event", "a")


def test_jitter_stays_within_its_spread() -> None:
    assert all(8 <= jitter(10, 0.2) <= 12 for _ in range(1000))


@given(clicks | starts | book_entries | conversions)
def test_a_record_comes_back_as_it_was(record: Click | Start | BookEntry | Conversion) -> None:
    """I6, with the order of the parameters."""
    back = decode(encode(record))
    assert back == record
    if isinstance(record, Click) and isinstance(back, Click):
        assert list(back.params.items()) == list(record.params.items())


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda raw: b"\x01" + raw))
def test_garbage_is_refused_and_never_fails_otherwise(raw: bytes) -> None:
    with pytest.raises(RecordRejected):
        decode(raw)


@given(clicks, st.data())
def test_a_truncated_record_is_refused(click: Click, data: st.DataObject) -> None:
    raw = encode(click)
    with pytest.raises(RecordRejected):
        decode(raw[: data.draw(st.integers(0, len(raw) - 1))])


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(RecordRejected, match="format"):
        decode(b"\x01" + encode(bare_click())[1:])


def test_a_field_of_a_later_version_is_ignored() -> None:
    click = full_click()
    wire = msgspec.msgpack.decode(encode(click)[1:])
    assert decode(FORMAT + msgspec.msgpack.encode([*wire, 1])) == click


def test_what_is_too_large_or_no_unicode_is_refused() -> None:
    fitting = MAX_RECORD - len(encode(bare_click(sealed=bytes(30_000)))) + 30_000
    assert len(encode(bare_click(sealed=bytes(fitting)))) == MAX_RECORD
    for click in (
        bare_click(sealed=bytes(fitting + 1)),
        bare_click(language="\ud800"),
        bare_click(link_id=2**70),
    ):
        with pytest.raises(RecordRejected):
            encode(click)


def test_another_kind_of_record_is_not_a_click() -> None:
    with pytest.raises(RecordRejected, match="not a click"):
        decode_click(encode(start_of(bare_click())))


# ---------------------------------------------------------------- books

SYNCED = Receipt(durability=Durability.SYNCED, visible=True)
LOST = Receipt(durability=Durability.TOKEN_ONLY, visible=False)


def test_a_receipt_book_counts_by_minute_and_gives_only_what_changed() -> None:
    book = ReceiptBook(node=3, boot="b")
    for at_ms, receipt in ((5, SYNCED), (MINUTE_MS - 1, LOST), (MINUTE_MS, SYNCED)):
        book.issued(at_ms, receipt)
    first = BookEntry(node=3, boot="b", minute=0, issued=2, synced=1, token_only=1, visible=1)
    assert book.take() == [first, BookEntry(node=3, boot="b", minute=1, issued=1, synced=1, visible=1)]
    assert book.take() == []
    book.issued(7, LOST)
    assert [entry.issued for entry in book.take()] == [3]


def test_entries_given_back_are_taken_again_with_the_figures_of_then() -> None:
    book = ReceiptBook(node=3, boot="b")
    book.issued(5, SYNCED)
    taken = book.take()
    book.issued(6, SYNCED)
    book.give_back(taken)
    assert [entry.issued for entry in book.take()] == [2]


def test_only_written_minutes_are_forgotten() -> None:
    book = ReceiptBook(node=3, boot="b")
    book.issued(5, SYNCED)
    book.forget_before(10)
    assert len(book.take()) == 1
    book.forget_before(10)
    book.issued(5, SYNCED)
    assert [entry.issued for entry in book.take()] == [1]


@given(book_entries, book_entries, book_entries)
def test_merging_is_the_same_in_any_order_and_any_number_of_times(
    one: BookEntry, two: BookEntry, three: BookEntry
) -> None:
    a, b, c = (_at(e) for e in (one, two, three))
    assert a.merge(b).merge(c) == c.merge(a.merge(b)).merge(b)
    assert a.merge(a) == a


def _at(entry: BookEntry) -> BookEntry:
    from dataclasses import replace

    return replace(entry, node=1, boot="a", minute=1)


# ---------------------------------------------------------------- links


@pytest.mark.parametrize("text", ["a", "Promo-1_x", "9" * 64])
def test_a_good_slug_is_returned(text: str) -> None:
    assert valid_slug(text) == text


@pytest.mark.parametrize("text", ["", "-a", "_a", "a b", "á", "a/b", "a\n", "x" * 65])
def test_a_bad_slug_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="slug"):
        valid_slug(text)


@pytest.mark.parametrize("text", ["abc", "1bot", "a b c d", "bot\n", "x" * 33, "@@bott"])
def test_a_bad_username_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="username"):
        valid_username(text)


def test_a_username_loses_its_at() -> None:
    assert valid_username("@Shop_Bot") == "Shop_Bot"


@pytest.mark.parametrize("text", ["https://example.com/x?y=1", "http://example.com:8080/", "https://[::1]/"])
def test_a_good_fallback_is_returned(text: str) -> None:
    assert valid_fallback(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "example.com", "//example.com", "ftp://example.com", "javascript:alert(1)", "https://", "https://u:p@example.com",
        "https://example.com/\r\nX: y", "https://example.com\\@evil.com", "https://exámple.com", "http://[bad",
        "https://example.com/" + "x" * 2000, "https://example.com:99999/",
    ],
)  # fmt: skip
def test_a_bad_fallback_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="fallback URL"):
        valid_fallback(text)


@pytest.mark.parametrize("url", ["https://example.com/?a=b&c=%20", "tg://resolve?domain=shop_bot"])
def test_a_good_button_is_returned_without_spaces_around_its_text(url: str) -> None:
    assert valid_button(" Ver a oferta 👩\u200d💻 ", url) == Button(text="Ver a oferta 👩\u200d💻", url=url)


@pytest.mark.parametrize("text", ["", "  ", "\u200d", "a\nb", "a\x00", "\ud800", "x" * 65, "a\u202eb"])
def test_a_bad_text_of_a_button_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="text of a button"):
        valid_button(text, "https://example.com/")


@pytest.mark.parametrize(
    "url",
    [
        "", "http://example.com/", "javascript:alert(1)", "tg:resolve", "//example.com", "https://u:p@example.com",
        "https://u@example.com", "https://example.com/ x", "https://example.com\\@evil.com", "https://exámple.com",
        "https://example.com/" + "x" * 2000, "data:text/html,x", "https://[bad", "https://example.com:x/",
    ],
)  # fmt: skip
def test_a_bad_url_of_a_button_or_picture_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="button's URL"):
        valid_button("a", url)
    with pytest.raises(ConfigError, match="picture's URL"):
        valid_photo(url)


def test_a_picture_comes_by_https_alone() -> None:
    assert valid_photo("https://example.com/a.jpg") == "https://example.com/a.jpg"
    with pytest.raises(ConfigError, match="picture"):
        valid_photo("tg://resolve?domain=shop_bot")


def test_a_greeting_has_at_most_eight_buttons() -> None:
    button = Button(text="a", url="https://example.com/")
    assert valid_buttons([button] * 8) == (button,) * 8
    with pytest.raises(ConfigError, match="8 buttons"):
        valid_buttons([button] * 9)


def test_a_language_is_a_tag_in_lower_case() -> None:
    assert [valid_language(tag) for tag in ("pt", "pt-BR", "EN_us")] == ["pt", "pt-br", "en-us"]
    for bad in ("", "p", "português", "pt-", "pt-brazil", "../x", "pt\n"):
        with pytest.raises(ConfigError, match="language"):
            valid_language(bad)


@pytest.mark.parametrize("text", ["", "1234", "1" * 21, "12345x", "١٢٣٤٥"])
def test_a_bad_pixel_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="pixel"):
        valid_pixel(text)


def test_the_catalog_finds_by_slug_id_and_name_in_any_case() -> None:
    bot = Bot(id=1, username="Shop_Bot")
    link = Link(id=5, slug="promo", name="p", pool=(Member(bot=bot),))
    catalog = Catalog(version=1, links=(link,), bots=(bot,))
    assert (catalog.by_slug()["promo"], catalog.link(5), catalog.link(6)) == (link, link, None)
    assert (catalog.bot("@SHOP_bot"), catalog.bot("other")) == (bot, None)
    assert link.live
    assert not Link(id=5, slug="promo", name="p", pool=()).live
