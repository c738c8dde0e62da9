"""SharedKey: a key as nodes share it, wrapped. Its value is in here only under a master secret."""

from dataclasses import dataclass, field, replace
from typing import Literal

KeyKind = Literal["period", "mac"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedKey:
    """One row of `shared_keys`. `number`: the UTC day of a period, or the serial number of a MAC key.

    `copy` 0 is the key in use; any other is a second sealing key of that day, made while SQL was away, that only
    opens. `active_ms`: from when a MAC key mints. `wrapped` is None once `destroyed_ms` is set. Times are UTC ms.
    """

    kind: KeyKind
    number: int
    copy: int = 0
    master: str
    wrapped: bytes | None = field(default=None, repr=False)
    created_ms: int
    active_ms: int | None = None
    destroyed_ms: int | None = None

    def wrapped_as(self, wrapped: bytes, master: str) -> "SharedKey":
        """The same key under another master."""
        return replace(self, wrapped=wrapped, master=master)
