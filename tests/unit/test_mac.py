"""A Mac is HMAC-SHA-256, to the last bit."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.mac import Mac

# RFC 4231, test cases 1, 2, 3 and 6: key, data, HMAC-SHA-256.
VECTORS = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
]


@pytest.mark.parametrize(("key", "message", "digest"), VECTORS)
def test_the_vectors_of_the_rfc_hold(key: bytes, message: bytes, digest: str) -> None:
    assert Mac(key).of(message).hex() == digest


@given(key=st.binary(max_size=200), messages=st.lists(st.binary(max_size=200), max_size=4))
def test_it_is_what_the_library_computes_however_often_it_is_used(key: bytes, messages: list[bytes]) -> None:
    mac = Mac(key)
    assert [mac.of(message) for message in messages] == [hmac.digest(key, m, "sha256") for m in messages]
