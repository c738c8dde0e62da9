"""A reader of MaxMind DB files that no file can crash.

Written because neither reader of `maxminddb` will do. Its C extension takes 2 µs, but 12 of 4,000 files that were harmed at
random ended the process with a SIGSEGV, and only a child that reads all of a file first could tell. Its Python reader is
safe but takes 24 µs, and a few bytes that point to each other can keep it busy for ever. This one takes 4 to 8 µs on the
same databases (docs/how-to/geoip.md has more figures): it takes the first 16 bits of an address in one step, decodes the
wanted fields only, and each record once. Python checks every index, every loop is bounded, and what is wrong in a file
raises `Damaged`.

The format: https://maxmind.github.io/MaxMind-DB/ (version 2.0).
"""

import mmap
from collections.abc import Callable, Iterator
from typing import TypeAlias

Buffer: TypeAlias = bytes | mmap.mmap

MARKER = b"\xab\xcd\xefMaxMind.com"
METADATA_ROOM = 128 * 1024
SEPARATOR = 16
MOST_FIELDS = 128  # the largest maps there are have some 40
MOST_ITEMS = 1024  # of one value that is skipped
LONGEST_TEXT = 4096
JUMP = 16
_SPREAD = 0x9E37_79B1  # Knuth's multiplier: neighbours get bits that differ

_POINTER, _TEXT, _BYTES, _UINT16, _UINT32, _MAP, _INT32, _UINT64, _UINT128, _ARRAY, _BOOLEAN = (
    1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 14,
)  # fmt: skip
_NUMBERS = (_UINT16, _UINT32, _UINT64, _UINT128)
_POINTER_BASES = (0, 2048, 526336, 0)


class Damaged(Exception):
    """The file, or what a look-up came across in it, is not as the format has it."""


class Values:
    """Values in a data section: maps of fields, texts and numbers, each read where it stands. All raise Damaged."""

    __slots__ = ("_base", "_data", "_names")

    def __init__(self, data: Buffer, base: int) -> None:
        self._data = data
        self._base = base
        self._names: dict[int, bytes] = {}

    def fields(self, at: int) -> dict[bytes, int]:
        """Where the values of a map stand, by its keys. A value that is no map has none."""
        kind, size, at = self._settled(at)
        if kind != _MAP:
            return {}
        if size > MOST_FIELDS:
            raise Damaged("a map is too large")
        found = {}
        for _ in range(size):
            name, at = self._name(at)
            found[name] = at
            at = self._after(at)
        return found

    def first(self, at: int) -> int | None:
        """Where the first item of an array stands."""
        kind, size, at = self._settled(at)
        return at if kind == _ARRAY and size else None

    def text(self, at: int | None) -> str | None:
        """A text; None for an empty one and for a value that is none."""
        if at is None:
            return None
        kind, size, at = self._settled(at)
        if kind != _TEXT or not size:
            return None
        try:
            return self._bytes(at, size).decode()
        except UnicodeDecodeError:
            raise Damaged("a text is not UTF-8") from None

    def number(self, at: int | None) -> int | None:
        """An unsigned number; None for a value that is none."""
        if at is None:
            return None
        kind, size, at = self._settled(at)
        return int.from_bytes(self._bytes(at, size), "big") if kind in _NUMBERS else None

    def _name(self, at: int) -> tuple[bytes, int]:
        """A key and where its value stands. Keys are shared by pointers, so each is read once."""
        kind, size, behind = self._head(at)
        if kind == _TEXT:
            return self._bytes(behind, size), behind + size
        if kind != _POINTER:
            raise Damaged("a key is no text")
        target, behind = self._target(size, behind)
        name = self._names.get(target)
        if name is None:
            kind, size, start = self._head(target)
            if kind != _TEXT:
                raise Damaged("a key is no text")
            name = self._bytes(start, size)
            if len(self._names) < MOST_FIELDS:
                self._names[target] = name
        return name, behind

    def _after(self, at: int) -> int:
        """Where the next value stands. Pointers are stepped over, not followed: the way through is never longer than the file."""
        waiting = 1
        for _ in range(MOST_ITEMS):
            kind, size, at = self._head(at)
            if kind == _POINTER:
                at += (size >> 3) + 1
            elif kind == _MAP:
                waiting += 2 * size
            elif kind == _ARRAY:
                waiting += size
            elif kind != _BOOLEAN:
                at += size
            waiting -= 1
            if not waiting:
                return at
        raise Damaged("a value is too large")

    def _settled(self, at: int) -> tuple[int, int, int]:
        """Kind, size and start of a value, behind its pointer if it has one. A pointer to a pointer is not allowed."""
        kind, size, start = self._head(at)
        if kind != _POINTER:
            return kind, size, start
        kind, size, start = self._head(self._target(size, start)[0])
        if kind == _POINTER:
            raise Damaged("a pointer points to a pointer")
        return kind, size, start

    def _target(self, bits: int, at: int) -> tuple[int, int]:
        length = (bits >> 3) + 1
        value = int.from_bytes(self._bytes(at, length), "big")
        if length < 4:
            value |= (bits & 7) << (8 * length)
        return self._base + value + _POINTER_BASES[length - 1], at + length

    def _head(self, at: int) -> tuple[int, int, int]:
        """Kind, size (a pointer's: its five bits) and start of a value."""
        data = self._data
        try:
            control = data[at]
            kind, size = control >> 5, control & 31
            at += 1
            if not kind:
                kind = data[at] + 7
                at += 1
            if size >= 29 and kind != _POINTER:
                extra = size - 28
                size = int.from_bytes(self._bytes(at, extra), "big") + (29, 285, 65821)[extra - 1]
                at += extra
        except IndexError:
            raise Damaged("a value stands behind the end") from None
        return kind, size, at

    def _bytes(self, at: int, size: int) -> bytes:
        if size > LONGEST_TEXT:
            raise Damaged("a value is too long")
        found = self._data[at : at + size]
        if len(found) != size:
            raise Damaged("a value stands behind the end")
        return found


class Metadata:
    """What a file says of itself."""

    __slots__ = ("built", "name", "nodes", "record_bits", "version")

    def __init__(self, data: Buffer) -> None:
        start = data.rfind(MARKER, max(0, len(data) - METADATA_ROOM))
        if start < 0:
            raise Damaged("not a MaxMind DB, or cut off")
        values = Values(data, start + len(MARKER))
        fields = values.fields(start + len(MARKER))

        def number(name: bytes) -> int:
            found = values.number(fields.get(name))
            if found is None:
                raise Damaged(f"its metadata has no {name.decode()}")
            return found

        self.nodes = number(b"node_count")
        self.record_bits = number(b"record_size")
        self.version = number(b"ip_version")
        self.built = number(b"build_epoch")
        self.name = values.text(fields.get(b"database_type")) or ""
        if number(b"binary_format_major_version") != 2:
            raise Damaged("an unknown version of the format")
        if self.record_bits not in _CHILDREN or self.version not in {4, 6}:
            raise Damaged("an unknown size of records or version of IP")
        if not 0 < self.nodes <= start * 4 // self.record_bits:
            raise Damaged("its tree does not fit into it")


class Tree:
    """Where the record of an address stands. IPv4 in a tree of IPv6 is found below ::/96."""

    __slots__ = ("_bits", "_children", "_data", "_jump4", "_jump6", "_meta", "_width")

    def __init__(self, data: Buffer, meta: Metadata) -> None:
        self._data = data
        self._meta = meta
        self._width = meta.record_bits // 4
        self._children = _CHILDREN[meta.record_bits]
        root = 0
        if meta.version == 6:
            for _ in range(96):
                root = root if root >= meta.nodes else self._child(root, 0)
        self._jump4 = self._jumps(root)
        self._jump6 = self._jumps(0) if meta.version == 6 else ()

    def find(self, address: int, bits: int) -> int | None:
        """Offset of its record in the data section; None when there is none. Raises Damaged."""
        jump, nodes, width, data = (
            self._jump4 if bits == 32 else self._jump6,
            self._meta.nodes,
            self._width,
            self._data,
        )
        if not jump:
            return None
        node, children = jump[address >> (bits - JUMP)], self._children
        shift = bits - JUMP
        while node < nodes:
            if not shift:
                raise Damaged("its tree is deeper than an address")
            shift -= 1
            start = node * width
            node = children(int.from_bytes(data[start : start + width], "big"), address >> shift & 1)
        return self._record(node)

    def samples(self, most: int) -> Iterator[int]:
        """Offsets of records from all over the tree, some `most` of each version of IP. Raises Damaged."""
        for jump, depth in ((self._jump4, 32 - JUMP), (self._jump6, 128 - JUMP)):
            used = list(dict.fromkeys(node for node in jump if node != self._meta.nodes))
            for turns, node in enumerate(used[:: len(used) // most + 1]):
                found = self._record(self._descend(node, turns * _SPREAD, depth))
                if found is not None:
                    yield found

    def _descend(self, node: int, turns: int, depth: int) -> int:
        """Down to a record, left and right by the bits of `turns`, and away from where there is nothing."""
        for step in range(depth):
            if node >= self._meta.nodes:
                return node
            side = turns >> step % 32 & 1
            below = self._child(node, side)
            node = self._child(node, 1 - side) if below == self._meta.nodes else below
        if node < self._meta.nodes:
            raise Damaged("its tree is deeper than an address")
        return node

    def _record(self, node: int) -> int | None:
        if node == self._meta.nodes:
            return None
        if node < self._meta.nodes + SEPARATOR:
            raise Damaged("its tree points into nothing")
        return node - self._meta.nodes - SEPARATOR

    def _child(self, node: int, side: int) -> int:
        start = node * self._width
        return self._children(int.from_bytes(self._data[start : start + self._width], "big"), side)

    def _jumps(self, root: int) -> tuple[int, ...]:
        """What is reached behind the first 16 bits, for each of them."""
        level, nodes = [root], self._meta.nodes
        for _ in range(JUMP):
            level = [node if node >= nodes else self._child(node, side) for node in level for side in (0, 1)]
        return tuple(level)


def _children_24(pair: int, side: int) -> int:
    return pair & 0xFF_FFFF if side else pair >> 24


def _children_28(pair: int, side: int) -> int:
    return pair & 0xFFF_FFFF if side else pair >> 32 | (pair & 0xF000_0000) >> 4


def _children_32(pair: int, side: int) -> int:
    return pair & 0xFFFF_FFFF if side else pair >> 32


_CHILDREN: dict[int, Callable[[int, int], int]] = {24: _children_24, 28: _children_28, 32: _children_32}
