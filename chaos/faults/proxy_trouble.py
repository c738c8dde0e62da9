"""Trouble on the way to a store: whatever chaos/proxy can do, on the proxy before "redis" or "sql"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chaos.proxy import Trouble
from chaos.stage.stage import Stage

WORDS = {
    "latency_ms": "{store} is {value:g} ms later each way",
    "jitter_ms": "{store} is up to {value:g} ms later each way",
    "bandwidth": "{value:g} bytes a second to and from {store}",
    "reset": "connections to {store} are reset",
    "refuse": "{store} refuses connections",
    "blackhole": "packets to {store} vanish",
    "silent": "{store} takes connections and says nothing",
    "drop": "what goes {value} the way to {store} vanishes",
    "flap_s": "{store} is away for half of every {value:g} s",
    "lose_reply": "answers of {store} are lost",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyTrouble:
    """`trouble`: fields of chaos.proxy.Trouble. The stage has the store among its `proxied`."""

    store: str
    trouble: dict[str, Any]

    @property
    def says(self) -> str:
        """For the report."""
        name = {"redis": "Redis", "sql": "SQL"}[self.store]
        return ", ".join(WORDS[k].format(store=name, value=v) for k, v in self.trouble.items() if k in WORDS)

    def begin(self, stage: Stage) -> None:
        """Returns when it is in force, also for open connections."""
        stage.proxies[self.store].set(Trouble.from_dict(self.trouble))

    def end(self, stage: Stage) -> None:
        """Returns when nothing is wrong with the way; what was held is delivered."""
        stage.proxies[self.store].heal()
