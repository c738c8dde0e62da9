"""From ranges of networks (CSV) to a MaxMind DB: npm has the numbers of networks as CSV only."""

import csv
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from daemon.enrich.mmdb import MARKER, SEPARATOR

MOST_RANGES = 5_000_000
BITS = 128
_NOTHING = 0xFFFF_FFFF
_LEAF = 0x8000_0000
_SMALL = 1 << 24
_KEY = b"autonomous_system_number"


class Ranges(NamedTuple):
    """Ranges of addresses that do not overlap, in order, and the network of each. IPv4 lies in ::/96."""

    starts: list[int]
    ends: list[int]
    networks: list[int]


def read_ranges(lines: Iterable[Iterable[str]]) -> Ranges:
    """From CSV texts with `first,last,number,…`, addresses as numbers. ValueError for anything else.

    Of ranges that overlap, the one that starts first keeps what it has.
    """
    rows = sorted(_rows(lines))
    if not rows:
        raise ValueError("it has no networks")
    found = Ranges([], [], [])
    free = 0
    for start, end, network in rows:
        if end < free:
            continue
        found.starts.append(max(start, free))
        found.ends.append(end)
        found.networks.append(network)
        free = end + 1
    return found


def _rows(lines: Iterable[Iterable[str]]) -> Iterator[tuple[int, int, int]]:
    count = 0
    for text in lines:
        for row in csv.reader(text):
            start, end, network = int(row[0]), int(row[1]), int(row[2])
            count += 1
            if not 0 <= start <= end < 1 << BITS or not 0 <= network < 1 << 32 or count > MOST_RANGES:
                raise ValueError("a range of its networks is none")
            if network:
                yield start, end, network


def write_mmdb(ranges: Ranges, *, name: str, built: int) -> bytes:
    """A MaxMind DB that gives `autonomous_system_number` for each range. `built` is seconds since the epoch."""
    tree = _Tree(ranges)
    tree.build()
    data, offsets = _data(ranges.networks)
    nodes = len(tree.left)
    wide = nodes + SEPARATOR + len(data) >= _SMALL
    size = 4 if wide else 3

    def record(child: int) -> bytes:
        if child == _NOTHING:
            child = nodes
        elif child & _LEAF:
            child = nodes + SEPARATOR + offsets[ranges.networks[child ^ _LEAF]]
        return child.to_bytes(size, "big")

    body = b"".join(record(child) for pair in zip(tree.left, tree.right, strict=True) for child in pair)
    return body + bytes(SEPARATOR) + data + MARKER + _metadata(nodes, size * 8, name, built)


class _Tree:
    """Nodes as two columns; a child is a node, a leaf (index of its range), or nothing."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self.left = array("I")
        self.right = array("I")

    def build(self) -> None:
        """All of it. The root is a node even when one range is everything."""
        self._node(0, BITS, 0, len(self._ranges.starts), root=True)

    def _node(self, first: int, bits: int, low: int, high: int, *, root: bool = False) -> int:
        """The node of the 2**bits addresses from `first`, which ranges low to high touch."""
        starts, ends, _ = self._ranges
        if low == high:
            return _NOTHING
        if not root and starts[low] <= first and ends[low] >= first + (1 << bits) - 1:
            return low | _LEAF
        bits -= 1
        middle = first + (1 << bits)
        split = bisect_left(starts, middle, low, high)
        number = len(self.left)
        self.left.append(_NOTHING)
        self.right.append(_NOTHING)
        self.left[number] = self._node(first, bits, low, split)
        reaches_over = split > low and ends[split - 1] >= middle
        self.right[number] = self._node(middle, bits, split - reaches_over, high)
        return number


def _data(networks: list[int]) -> tuple[bytes, dict[int, int]]:
    """The data section, each network once, and where each stands. The key stands once, in the first."""
    data, offsets = bytearray(), {}
    for network in sorted(set(networks)):
        offsets[network] = len(data)
        data += b"\xe1" + (b"\x20\x01" if data else _text(_KEY)) + _number(network, 6)
    return bytes(data), offsets


def _text(value: bytes) -> bytes:
    return bytes((0x40 | len(value),)) + value


def _number(value: int, kind: int) -> bytes:
    """An unsigned number; kinds above 7 are written in a byte of their own."""
    content = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return (bytes((kind << 5 | len(content),)) if kind < 8 else bytes((len(content), kind - 7))) + content


def _metadata(nodes: int, record_bits: int, name: str, built: int) -> bytes:
    fields = (
        (b"binary_format_major_version", _number(2, 5)),
        (b"binary_format_minor_version", _number(0, 5)),
        (b"build_epoch", _number(built, 9)),
        (b"database_type", _text(name.encode())),
        (b"description", b"\xe0"),
        (b"ip_version", _number(6, 5)),
        (b"languages", b"\x00\x04"),
        (b"node_count", _number(nodes, 6)),
        (b"record_size", _number(record_bits, 5)),
    )
    return bytes((0xE0 | len(fields),)) + b"".join(_text(key) + value for key, value in fields)
