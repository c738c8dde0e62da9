"""The books: per node, boot and minute, what was promised and what was taken into a spool (I8).

Every figure only grows, so entries of the same key merge by the larger figure: writing one twice, late or out of
order changes nothing, and no crash can make them count double.
"""

from dataclasses import dataclass, fields, replace

from domain.outcomes import Receipt

MINUTE_MS = 60_000
IMPORTED_NODE = 0x1_0000
"""The node of clicks that another tracker took. No daemon has it, as nodes end at 65535: the books tell them by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookEntry:
    """Figures of one node, one boot of its daemon, one minute (UTC minutes since the epoch).

    issued: tokens given out. synced, written, token_only: the receipts they were given.
    visible: how many of them Redis had. spooled: click records taken into this boot's spool, written in the same
    transaction as the records themselves, so it is exact even after kill -9.
    """

    node: int
    boot: str
    minute: int
    issued: int = 0
    synced: int = 0
    written: int = 0
    token_only: int = 0
    visible: int = 0
    spooled: int = 0

    def merge(self, other: "BookEntry") -> "BookEntry":
        """The larger of each figure: both describe the same growing counters."""
        return replace(self, **{name: max(getattr(self, name), getattr(other, name)) for name in FIGURES})


FIGURES = tuple(f.name for f in fields(BookEntry) if f.name not in {"node", "boot", "minute"})


class ReceiptBook:
    """Counts issued tokens and their receipts in memory, by the minute of the click. `entries` is written out."""

    def __init__(self, *, node: int, boot: str) -> None:
        self._node = node
        self._boot = boot
        self._minutes: dict[int, list[int]] = {}
        self._dirty: set[int] = set()

    def issued(self, at_ms: int, receipt: Receipt) -> None:
        """Count one token given out, with what was promised for it."""
        minute = at_ms // MINUTE_MS
        row = self._minutes.get(minute)
        if row is None:
            row = self._minutes[minute] = [0, 0, 0, 0, 0]
        row[0] += 1
        row[_COLUMN[receipt.durability]] += 1
        row[4] += receipt.visible
        self._dirty.add(minute)

    def take(self) -> list[BookEntry]:
        """The entries changed since the last call. If they could not be written, hand them to `give_back`."""
        entries = [self._entry(minute) for minute in sorted(self._dirty)]
        self._dirty.clear()
        return entries

    def give_back(self, entries: list[BookEntry]) -> None:
        """These entries did not reach a store: `take` returns them again, with figures of then."""
        self._dirty.update(entry.minute for entry in entries)

    def forget_before(self, minute: int) -> None:
        """Drop written minutes older than this, so that memory stays flat."""
        for old in [m for m in self._minutes if m < minute and m not in self._dirty]:
            del self._minutes[old]

    def _entry(self, minute: int) -> BookEntry:
        issued, synced, written, token_only, visible = self._minutes[minute]
        return BookEntry(
            node=self._node,
            boot=self._boot,
            minute=minute,
            issued=issued,
            synced=synced,
            written=written,
            token_only=token_only,
            visible=visible,
        )


_COLUMN = {"synced": 1, "written": 2, "token_only": 3}
