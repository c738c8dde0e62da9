"""Whose address a visitor's is: the rightmost hop that is no proxy of ours, or nobody's."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from daemon.client_ip import MAX_HOPS, ClientIp, parse_address
from domain.errors import ConfigError
from runtime.settings import load_settings

PROXY, EDGE = "10.0.0.2", "172.16.0.9"
TRUSTED = ClientIp([ip_network("10.0.0.0/8"), ip_network("172.16.0.0/12"), ip_network("2001:db8:ffff::/48")])


@pytest.mark.parametrize(
    ("forwarded", "visitor"),
    [
        ([b"177.1.2.3"], "177.1.2.3"),
        ([b"8.8.8.8, 177.1.2.3"], "177.1.2.3"),
        ([b"8.8.8.8, 177.1.2.3, 10.1.1.1, 172.16.0.9"], "177.1.2.3"),
        ([b"8.8.8.8", b"177.1.2.3"], "177.1.2.3"),
        ([b"177.1.2.3", b"10.9.9.9"], "177.1.2.3"),
        ([b"177.1.2.3, 2001:db8:ffff::7"], "177.1.2.3"),
        ([b"177.1.2.3:5555"], "177.1.2.3"),
        ([b"  177.1.2.3  "], "177.1.2.3"),
        ([b"2804:14C::0001"], "2804:14c::1"),
        ([b"[2804:14c::1]"], "2804:14c::1"),
        ([b"[2804:14c::1]:443"], "2804:14c::1"),
        ([b"::ffff:177.1.2.3"], "177.1.2.3"),
        ([b"177.1.2.3, ::ffff:10.1.1.1"], "177.1.2.3"),
        ([b"<script>, 177.1.2.3"], "177.1.2.3"),
        ([b"127.0.0.1"], "127.0.0.1"),
        ([b"10.4.4.4, 10.5.5.5"], "10.4.4.4"),
    ],
)
def test_behind_a_trusted_proxy_the_rightmost_foreign_hop_is_the_visitor(
    forwarded: list[bytes], visitor: str
) -> None:
    assert TRUSTED.of(PROXY, forwarded) == visitor


@pytest.mark.parametrize(
    "forwarded",
    [
        [b""],
        [b","],
        [b"177.1.2.3,"],
        [b"<script>alert(1)</script>"],
        [b"177.1.2.3, <script>"],
        [b"unknown"],
        [b"_hidden"],
        [b"177.1.2.3.4"],
        [b"177.1.2.300"],
        [b"0177.1.2.3"],
        [b"177.1.2.3/32"],
        [b"177.1.2.3:"],
        [b"177.1.2.3:http"],
        [b"177.1.2.3:123456"],
        [b"[2804:14c::1"],
        [b"[2804:14c::1]443"],
        [b"[177.1.2.3"],
        [b"fe80::1%eth0"],
        [b"\xff\xfe"],
        ["１７７.1.2.3".encode()],
        [b"1" * 10_000],
    ],
)
def test_garbage_gives_no_address_and_never_the_proxys_own(forwarded: list[bytes]) -> None:
    assert TRUSTED.of(PROXY, forwarded) is None


@pytest.mark.parametrize("peer", ["177.9.9.9", "2804:14c::9", "11.0.0.1"])
def test_a_peer_that_is_no_proxy_of_ours_cannot_name_another_address(peer: str) -> None:
    assert TRUSTED.of(peer, [b"8.8.8.8"]) == peer
    assert ClientIp([]).of(PROXY, [b"8.8.8.8"]) == PROXY


def test_a_proxy_that_sends_no_header_is_itself_the_visitor() -> None:
    assert TRUSTED.of(PROXY, []) == PROXY


def test_a_peer_seen_as_v4_mapped_ipv6_is_the_ipv4_proxy_it_is() -> None:
    assert TRUSTED.of(f"::ffff:{PROXY}", [b"177.1.2.3"]) == "177.1.2.3"


@pytest.mark.parametrize("peer", [None, "", "unix:", "not an address"])
def test_without_a_peers_address_there_is_no_visitors_either(peer: str | None) -> None:
    assert TRUSTED.of(peer, [b"177.1.2.3"]) is None


def test_a_chain_of_up_to_sixteen_hops_is_walked_and_a_longer_one_refused() -> None:
    ours = [b"10.1.1.1"] * (MAX_HOPS - 1)
    assert TRUSTED.of(PROXY, [b", ".join([b"177.1.2.3", *ours])]) == "177.1.2.3"
    assert TRUSTED.of(PROXY, [b", ".join([b"177.1.2.3", b"10.1.1.1", *ours])]) is None


@pytest.mark.parametrize("text", ["fe80::1%eth0", "fe80::1%25eth0", "[fe80::1%eth0]", "[fe80::1%eth0]:80"])
def test_ipv6_zones_are_refused(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize("cidr", ["10.0.0.1/8", "10.0.0.0/33", "proxy.internal", "10.0.0.0/8;1.1.1.1"])
def test_a_bad_network_is_refused_at_start_up_without_being_repeated(cidr: str) -> None:
    with pytest.raises(ConfigError, match="TRILHA_TRUSTED_PROXIES"):
        load_settings({"TRILHA_TRUSTED_PROXIES": cidr})
