"""The first node is cut off: no packet gets from it to the stores, and none back; if `visitors` are too, none to it either."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.proxy import Proxy, Trouble
from chaos.stage.nodes import BACK, CUT, FRONT
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCutOff:
    """Its stage has nodes and redis, sql and, for `visitors`, front among its `proxied`. No connection is closed."""

    visitors: bool = False

    @property
    def says(self) -> str:
        """For the report."""
        return f"node {CUT} is cut off from " + ("everything" if self.visitors else "Redis and SQL")

    def begin(self, stage: Stage) -> None:
        """Returns when nothing comes through any more."""
        for proxy in self._proxies(stage):
            proxy.set(Trouble(blackhole=True))

    def end(self, stage: Stage) -> None:
        """Returns when everything does again."""
        for proxy in self._proxies(stage):
            proxy.heal()

    def _proxies(self, stage: Stage) -> list[Proxy]:
        front = (FRONT, BACK) if self.visitors else ()
        return [stage.proxies[name] for name in (f"redis-{CUT}", f"sql-{CUT}", *front)]
