"""The settler takes a batch out of the spool before SQL has committed it.

Who has had it: Sentry's Relay (rows were removed from its buffer as they were read), Fluent Bit (10952: acknowledged records
lost on SIGKILL), every consumer that commits its offset on receipt (Kafka's `enable.auto.commit`). Found by: SQL going away
while there is something to settle.
"""

from __future__ import annotations

from typing import Any

from chaos.inside.patch import replace
from daemon.settle import Settler


def plant() -> None:
    """Trim what was read."""

    def reading(read: Any) -> Any:
        def read_and_trim(self: Any, spool: Any) -> Any:
            entries = read(self, spool)
            self._trim(spool, entries)
            return entries

        return read_and_trim

    replace(Settler, "_read", reading)
