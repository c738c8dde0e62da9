"""Where a webhook may be: hostile URLs and addresses, one by one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.safe_address import AllowedHosts, Target, may_connect, parse_url
from domain.errors import ConfigError

SECRET = "s3cr3t-path"


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://crm.example.com", "crm.example.com", 443, "/", "crm.example.com"),
        ("https://CRM.Example.com:443/a?b=c", "crm.example.com", 443, "/a?b=c", "crm.example.com"),
        ("https://crm.example.com:8443/", "crm.example.com", 8443, "/", "crm.example.com:8443"),
        ("https://crm.example.com?x=@y", "crm.example.com", 443, "/?x=@y", "crm.example.com"),
        ("https://crm.example.com/@x:y@z", "crm.example.com", 443, "/@x:y@z", "crm.example.com"),
        ("http://my_crm:80/", "my_crm", 80, "/", "my_crm"),
        ("https://xn--caf-dma.example/", "xn--caf-dma.example", 443, "/", "xn--caf-dma.example"),
        ("https://1.1.1.1/", "1.1.1.1", 443, "/", "1.1.1.1"),
        ("https://[2606:4700:0:0::1111]:444/", "2606:4700::1111", 444, "/", "[2606:4700::1111]:444"),
    ],
)
def test_a_url_is_read_into_its_parts(url: str, host: str, port: int, path: str, authority: str) -> None:
    target = parse_url(url)
    assert (target.host, target.port, target.path, target.authority) == (host, port, path, authority)
    assert target.scheme == url.partition(":")[0]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "crm.example.com/x",
        "//crm.example.com/x",
        "ftp://crm.example.com/",
        "file:///etc/passwd",
        "gopher://crm.example.com:6379/_x",
        "HTTPS://crm.example.com/",
        "https:/crm.example.com/",
        "https:///x",
        "https://:443/",
        "https://crm.example.com:/",
        "https://crm.example.com:0/",
        "https://crm.example.com:65536/",
        "https://crm.example.com:4 43/",
        "https://user@crm.example.com/",
        "https://user:word@crm.example.com/",
        "https://crm.example.com@127.0.0.1/",
        "https://127.0.0.1\\@crm.example.com/",
        "https://crm.example.com\\.evil.example/",
        "https://crm.example.com#@127.0.0.1/",
        "https://crm.example.com/#x",
        "https://crm.example.com/\r\nHost: evil",
        "https://crm.example.com/a b",
        "https://crm.example.com/\x00",
        "https://crm.example.com/é",
        "https://ｌocalhost/",
        "https://①②⑦.⓪.⓪.①/",
        "https://127。0。0。1/",
        "https://crm%2eexample.com/",
        "https://%6c%6fcalhost/",
        "https://crm.example.com./",
        "https://.example.com/",
        "https://crm..example.com/",
        "https://-crm.example.com/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 127 + "aa/",
        "https://crm.example.com/" + "a" * 2000,
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://0x7f.0.0.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://0/",
        "https://127.0.0.1.0x/",
        "https://999.1.1.1/",
        "https://[::1/",
        "https://::1/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[1.2.3.4]x/",
        "https://[::ffff:10.0.0]/",
        "https://[v1.x]/",
    ],
)
def test_what_is_no_plain_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_url(url)
    assert not url or url not in str(refused.value)


def test_a_targets_repr_keeps_its_path() -> None:
    assert SECRET not in repr(parse_url(f"https://crm.example.com/{SECRET}"))


PUBLIC = ["1.1.1.1", "93.184.216.34", "200.160.2.3", "2606:4700::1111", "2804:14c::1", "2a00:1450:4001::8a"]
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "127.8.8.8", "100.64.0.1",
           "198.18.0.1", "::1", "fd12:3456::1", "fc00::1"]  # fmt: skip
NEVER = ["0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16",
         "192.0.0.192", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "fe80::1",
         "fe80::a9fe:a9fe", "fe80::1%1", "fec0::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1"]  # fmt: skip
DISGUISED = ["::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:1.1.1.1", "::127.0.0.1",
             "::ffff:0:127.0.0.1", "64:ff9b::a00:1", "64:ff9b::169.254.169.254", "64:ff9b:1::a00:1",
             "100::1", "5f00::1"]  # fmt: skip
SPECIAL = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "2001:db8::1", "2001::1", "2001:10::1",
           "2002:7f00:1::1", "2002:a9fe:a9fe::1", "3fff::1"]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_for_all(text: str) -> None:
    assert may_connect(ip_address(text), allowed=False)
    assert may_connect(ip_address(text), allowed=True)


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_are_for_hosts_that_the_operator_allows(text: str) -> None:
    assert not may_connect(ip_address(text), allowed=False)
    assert may_connect(ip_address(text), allowed=True)


@pytest.mark.parametrize("text", NEVER + DISGUISED)
def test_metadata_services_multicast_nothing_and_ipv4_in_disguise_are_for_nobody(text: str) -> None:
    assert not may_connect(ip_address(text), allowed=False)
    assert not may_connect(ip_address(text), allowed=True)


@pytest.mark.parametrize("text", SPECIAL)
def test_what_the_registries_keep_for_something_else_is_not_public(text: str) -> None:
    assert not may_connect(ip_address(text), allowed=False)


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_is_public_that_python_calls_anything_else(address: IPv4Address) -> None:
    if may_connect(address, allowed=False):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_is_public_that_python_calls_anything_else(address: IPv6Address) -> None:
    if may_connect(address, allowed=False):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved
        assert address.ipv4_mapped is None
        assert address.sixtofour is None
        assert address.teredo is None


def target(url: str) -> Target:
    return parse_url(url)


def test_a_host_is_allowed_with_its_port_or_with_all() -> None:
    allowed = AllowedHosts(["CRM.internal", "hook.internal:8000", "[::1]:9", "10.0.0.5"])
    assert allowed.has(target("http://crm.INTERNAL/"))
    assert allowed.has(target("https://crm.internal:5000/"))
    assert allowed.has(target("http://hook.internal:8000/"))
    assert allowed.has(target("http://[0::1]:9/"))
    assert allowed.has(target("http://10.0.0.5:1/"))
    assert not allowed.has(target("http://hook.internal/"))
    assert not allowed.has(target("http://x.crm.internal/"))
    assert not allowed.has(target("http://[::1]:8/"))
    assert not AllowedHosts().has(target("https://crm.internal/"))


@pytest.mark.parametrize("entry", ["", "http://crm", "crm:", "crm:0", "crm:x", "*.internal", "10.0.0.0/8", "::1", "127.1"])  # fmt: skip
def test_what_is_no_host_cannot_be_allowed(entry: str) -> None:
    with pytest.raises(ConfigError, match="TRILHA_WEBHOOK_HOSTS"):
        AllowedHosts([entry])
