"""Mutations: one input becomes another, from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

MOST = 20_000
TELLING = (
    b"\0", b"\n", b"\r\n", b"%00", b"%0d%0a", b"%ED%A0%80", b"%C0%AF", b"\xed\xa0\x80", b"\xff", b"&", b"=", b"?", b"+", b"%", b"_fb",
    b"utm_source=", b"fbclid=", b"x-forwarded-for:", b"cookie: _fbp=", b"purpose:", b"::ffff:10.1.1.1", b"-", b"_", b"=" * 8,
    b"\x80", b"\xc1", b"\xdf\xff\xff\xff\xff", b"{{campaign.id}}", b"|", "ç😀\u202e".encode(),
)  # fmt: skip


def mutated(corpus: Sequence[bytes], random: Random) -> bytes:
    """One of the corpus after one to eight changes, at most MOST bytes of it."""
    data = bytearray(random.choice(corpus))
    for _ in range(random.randint(1, 8)):
        _CHANGES[random.randrange(len(_CHANGES))](data, corpus, random)
    return bytes(data[:MOST])


def _flip(data: bytearray, _corpus: Sequence[bytes], random: Random) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _insert(data: bytearray, _corpus: Sequence[bytes], random: Random) -> None:
    at = random.randint(0, len(data))
    data[at:at] = random.choice(TELLING)


def _cut(data: bytearray, _corpus: Sequence[bytes], random: Random) -> None:
    at = random.randint(0, len(data))
    del data[at : at + random.randint(1, 16)]


def _repeat(data: bytearray, _corpus: Sequence[bytes], random: Random) -> None:
    at = random.randint(0, len(data))
    data[at:at] = data[at : at + random.randint(1, 64)] * random.choice((1, 2, 100))


def _splice(data: bytearray, corpus: Sequence[bytes], random: Random) -> None:
    other = random.choice(corpus)
    data[random.randint(0, len(data)) :] = other[random.randint(0, len(other)) :]


def _letter(data: bytearray, _corpus: Sequence[bytes], random: Random) -> None:
    if data:
        data[random.randrange(len(data))] = random.choice(b"ABCyz019-_=%&:")


_CHANGES = (_flip, _insert, _cut, _repeat, _splice, _letter)
