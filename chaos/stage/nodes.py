"""Nodes of a stage: each a machine of its own as far as Trilha can see, with its home, its ring, its spools and its worker.

The first is the one that faults are put on: what it reaches, and what reaches it, may go through proxies of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from chaos.balancer import Upstream
from chaos.proxy.process import Proxy
from chaos.servers import HOST
from chaos.stage.trilha import TrilhaProcess

CUT = 1
"""The number of the node that has proxies."""
FRONT, BACK = f"front-{CUT}", f"back-{CUT}"


def node_settings(folder: Path, number: int) -> dict[str, str]:
    """Where node `number` (from 1) keeps what is its own."""
    return {
        "TRILHA_HOME_DIR": str(folder / f"node-{number}"),
        "TRILHA_SPOOL_DIR": str(folder / "spools" / f"node-{number}"),
    }


def join(folder: Path, nodes: int) -> None:
    """Give every other node the key ring and the API keys of the first, as `trilha keys export` and `import` do."""
    for number in range(2, nodes + 1):
        shutil.copytree(folder / f"node-{CUT}", folder / f"node-{number}")


def way_to(daemon: TrilhaProcess) -> dict[str, Proxy]:
    """Proxies before both listeners of a daemon, not started yet."""
    return {FRONT: Proxy(HOST, public_port(daemon)), BACK: Proxy(HOST, daemon.port)}


def upstream_of(daemon: TrilhaProcess, proxies: Mapping[str, Proxy]) -> Upstream:
    """How a balancer reaches it: through these proxies, if there are any."""
    if not proxies:
        return Upstream(public=public_port(daemon), private=daemon.port)
    return Upstream(public=proxies[FRONT].port, private=proxies[BACK].port)


def ads_of(targets: Iterable[str]) -> list[tuple[str, str]]:
    """Campaign and creative that these requests name."""
    said = [parse_qs(urlsplit(target).query) for target in targets]
    return [(each.get("utm_campaign", [""])[0], each.get("utm_content", [""])[0]) for each in said]


def public_port(daemon: TrilhaProcess) -> int:
    """Where it redirects."""
    return int(daemon.settings["TRILHA_PUBLIC_BIND"].rpartition(":")[2])
