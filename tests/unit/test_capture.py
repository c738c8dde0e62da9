"""What is read from a request: cropped to stated lengths, decoded once, never refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.codec import MAX_RECORD, encode
from daemon.capture import (
    MAX_COOKIE,
    MAX_LANGUAGE,
    MAX_REFERER,
    MAX_USER_AGENT,
    Capture,
    parse_query,
)
from daemon.client_ip import ClientIp
from domain.ad_url import MAX_NAME, MAX_PARAMS, MAX_VALUE
from domain.click import Ad, Click, Visit
from domain.ids import ClickIds
from privacy.pseudonymise import MAX_FBCLID

CAPTURE = Capture(ClientIp([]))


def visit(query: bytes = b"", *headers: tuple[bytes, bytes], **scope: Any) -> Visit:
    given = {"method": "GET", "query_string": query, "headers": headers, "client": ("177.1.2.3", 5000)}
    return CAPTURE.visit(given | scope, 1_800_000_000_000)


@pytest.mark.parametrize(
    ("query", "params", "fbclid"),
    [
        (b"", {}, ""),
        (b"&&=&=x&utm_", {"utm_": ""}, ""),
        (b"utm_source=FB&fbclid=abc", {"utm_source": "FB"}, "abc"),
        (b"fbclid=first&fbclid=second", {}, "first"),
        (b"fbclid=&fbclid=second", {}, "second"),
        (b"utm_source=a&utm_source=b", {"utm_source": "a"}, ""),
        (b"UTM_Source=FB&SRC=x", {"utm_source": "FB", "src": "x"}, ""),
        (b"utm%5Fsource=FB", {"utm_source": "FB"}, ""),
        (b"utm_source=a%26utm_term%3Db", {"utm_source": "a&utm_term=b"}, ""),
        (b"utm_term=%252F", {"utm_term": "%2F"}, ""),
        (b"utm_term=%zz%4", {"utm_term": "%zz%4"}, ""),
        (b"utm_term=%E7", {"utm_term": "ç"}, ""),
        (b"utm_term=\xc3\xa7", {"utm_term": "ç"}, ""),
        (b"utm_term=%ED%A0%80", {"utm_term": "í\xa0\x80"}, ""),
        (b"utm_term=%C0%AF", {"utm_term": "À¯"}, ""),
        (b"utm_term=%00", {"utm_term": "\ufffd"}, ""),
        (b"a=1?utm_source=FB?fbclid=x", {"utm_source": "FB"}, "x"),
        (b"utm_source=why?&utm_term=t", {"utm_source": "why?", "utm_term": "t"}, ""),
        (b"utm_source=FB?x=1", {"utm_source": "FB?x=1"}, ""),
    ],
)
def test_a_query_is_read_like_this(query: bytes, params: dict[str, str], fbclid: str) -> None:
    for _ in range(2):  # once read, once remembered
        assert parse_query(query) == (params, Ad.of(params), fbclid)


def test_parameters_that_are_no_ads_are_left_behind() -> None:
    assert parse_query(b"ip=1.2.3.4&url=//evil&email=a@b.c&token=x") == ({}, Ad(), "")


def test_every_field_is_cropped_to_its_stated_length() -> None:
    long = b"x" * 20_000
    query = b"fbclid=" + long + b"&utm_source=" + long
    seen = visit(
        query,
        (b"user-agent", long),
        (b"referer", long),
        (b"accept-language", long),
        (b"cookie", b"_fbp=" + long + b"; _fbc=" + long),
    )
    lengths = (seen.fbclid, seen.params["utm_source"], seen.user_agent, seen.referer, seen.language)
    assert [len(text) for text in lengths] == [
        MAX_FBCLID,
        MAX_VALUE,
        MAX_USER_AGENT,
        MAX_REFERER,
        MAX_LANGUAGE,
    ]
    assert len(seen.fbp_cookie) == len(seen.fbc_cookie) == MAX_COOKIE


def test_the_number_of_parameters_and_the_length_of_their_names_are_bounded() -> None:
    many = "&".join(f"utm_{i}=v" for i in range(1000))
    assert len(parse_query(many.encode())[0]) == MAX_PARAMS
    assert parse_query(b"utm_" + b"n" * MAX_NAME + b"=v")[0] == {}


def test_a_click_with_every_field_at_its_length_in_ascii_fits_a_record() -> None:
    query = "&".join(f"utm_{i:02d}{'n' * (MAX_NAME - 6)}={'x' * 2 * MAX_VALUE}" for i in range(MAX_PARAMS))
    params, _, _ = parse_query(query.encode())
    sealed = b"x" * (MAX_USER_AGENT + MAX_REFERER + 2 * MAX_COOKIE + 2 * MAX_FBCLID + 200)
    click = Click(id=ClickIds().new(1), link_id=1, node=0, ad_key=b"12345678", params=params, sealed=sealed)
    assert len(params) == MAX_PARAMS
    assert len(encode(click)) <= MAX_RECORD


@pytest.mark.parametrize(
    ("header", "sign"),
    [
        ((b"sec-purpose", b"prefetch;prerender"), "sec-purpose=prefetch;prerender"),
        ((b"purpose", b"Prefetch"), "purpose=prefetch"),
        ((b"x-moz", b"prefetch"), "x-moz=prefetch"),
        ((b"x-purpose", b"preview"), "x-purpose=preview"),
        ((b"x-fb-http-engine", b"Liger"), "x-fb-http-engine=liger"),
        ((b"purpose", b"something"), ""),
    ],
)
def test_the_sign_of_a_prefetch_is_kept(header: tuple[bytes, bytes], sign: str) -> None:
    assert visit(b"", header).prefetch == sign


@pytest.mark.parametrize(("value", "asked"), [(b"1", True), (b"0", False), (b"true", False), (b"", False)])
def test_a_browser_that_asks_for_no_sharing_is_heard(value: bytes, asked: bool) -> None:
    assert visit(b"", (b"sec-gpc", value)).gpc is asked
    assert visit().gpc is False


def test_the_first_of_a_repeated_header_or_cookie_stands() -> None:
    seen = visit(b"", (b"user-agent", b"one"), (b"user-agent", b"two"), (b"cookie", b"_fbp=a; _fbp=b"))
    assert (seen.user_agent, seen.fbp_cookie) == ("one", "a")


def test_headers_that_are_no_utf8_are_read_as_latin1() -> None:
    assert visit(b"", (b"user-agent", b"caf\xe9")).user_agent == "café"


def test_a_request_without_a_peer_has_no_address() -> None:
    assert visit(client=None).ip is None


@settings(max_examples=300, deadline=None)
@given(query=st.binary(max_size=400), value=st.binary(max_size=200))
def test_whatever_is_sent_gives_a_visit_of_storable_text(query: bytes, value: bytes) -> None:
    names = (b"user-agent", b"referer", b"accept-language", b"cookie", b"x-forwarded-for", b"purpose")
    seen = visit(query, *((name, b"_fb" + value) for name in names))
    texts = (*seen.params, *seen.params.values(), seen.fbclid, seen.user_agent, seen.referer, seen.fbp_cookie)
    for text in texts:
        text.encode()
    assert not any("\0" in text for text in (*seen.params.values(), seen.fbclid))


def test_a_visit_never_prints_what_it_holds() -> None:
    assert "177.1.2.3" not in repr(visit(b"fbclid=secret", (b"user-agent", b"agent")))
    assert "secret" not in repr(visit(b"fbclid=secret"))
