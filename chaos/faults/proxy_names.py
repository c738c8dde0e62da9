"""Names are not resolved, and the connections to the stores are cut, so that their names are needed."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.proxy import Trouble
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyNames:
    """The resolver of `target` fails every name after `hang_s` seconds.

    Its stage has `dns` among the faults inside that process, proxies, and URLs that name `localhost`.
    """

    target: str = "serve"
    hang_s: float = 0.0

    @property
    def says(self) -> str:
        """For the report."""
        return "names are not resolved" + (f", after {self.hang_s:g} s" if self.hang_s else "")

    def begin(self, stage: Stage) -> None:
        """Returns when it is so, and every connection through a proxy is cut."""
        stage.switches(self.target).on("dns", hang_s=self.hang_s)
        for proxy in stage.proxies.values():
            proxy.set(Trouble(reset=True))
            proxy.heal()

    def end(self, stage: Stage) -> None:
        """Returns when names are resolved."""
        stage.switches(self.target).off("dns")
