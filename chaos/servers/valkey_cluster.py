"""A real cluster of Valkey: three masters, each with a replica."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

from chaos.servers.process import HOST, Server, free_port, wait_for
from chaos.servers.valkey import ValkeyServer
from chaos.servers.valkey_sentinel import in_step

MASTERS = 3
SLOTS = 16_384
NODE_TIMEOUT_MS = 1000
SECONDS = 40.0


class ClusterNode(ValkeyServer):
    """One node. It remembers the cluster when it is killed, and nothing of its data."""

    prefix = "trilha-cluster-"

    def __init__(self) -> None:
        self.bus = free_port()
        options = {
            "--cluster-enabled": "yes",
            "--cluster-port": str(self.bus),
            "--cluster-node-timeout": str(NODE_TIMEOUT_MS),
            "--cluster-require-full-coverage": "no",
            "--cluster-allow-replica-migration": "no",
            "--repl-diskless-sync-delay": "0",
        }
        super().__init__(options=tuple(word for pair in options.items() for word in pair))


class ClusterSet:
    """`servers` by name: valkey-1 to -3, each with a third of the slots, and valkey-1-replica to -3-replica."""

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """As TRILHA_REDIS_URL; names two nodes, from which the others are learnt."""
        return f"redis+cluster://{HOST}:{self.server('valkey-1').port},{HOST}:{self.server('valkey-2').port}"

    def server(self, name: str) -> ValkeyServer:
        """One of them."""
        server = self.servers[name]
        assert isinstance(server, ValkeyServer)
        return server

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for number in range(1, MASTERS + 1):
                for name in (f"valkey-{number}", f"valkey-{number}-replica"):
                    self.servers[name] = stack.enter_context(ClusterNode())
            self._join()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _join(self) -> None:
        nodes = [self.server(name) for name in self.servers]
        masters = [self.server(f"valkey-{number}") for number in range(1, MASTERS + 1)]
        for number, master in enumerate(masters):
            first, end = SLOTS * number // MASTERS, SLOTS * (number + 1) // MASTERS
            master.obey(f"CLUSTER ADDSLOTSRANGE {first} {end - 1}", f"CLUSTER SET-CONFIG-EPOCH {number + 1}")
        for node in nodes[1:]:
            assert isinstance(node, ClusterNode)
            nodes[0].obey(f"CLUSTER MEET {HOST} {node.port} {node.bus}")
        wait_for("all nodes know each other", lambda: all(map(_knows_all, nodes)), SECONDS)
        for number, master in enumerate(masters, 1):
            name = master.text("CLUSTER MYID").decode()
            self.server(f"valkey-{number}-replica").obey(f"CLUSTER REPLICATE {name}")
        wait_for("the cluster is whole", lambda: all(map(_whole, nodes)), SECONDS)


def _knows_all(node: ValkeyServer) -> bool:
    said = node.text("CLUSTER NODES")
    return said.count(b" connected") == MASTERS * 2 and b"handshake" not in said


def _whole(node: ValkeyServer) -> bool:
    replicas = node.text("CLUSTER NODES").count(b"slave")
    role = node.text("INFO replication")
    in_place = b"role:master" in role or in_step(node)
    return in_place and replicas == MASTERS and b"cluster_state:ok" in node.text("CLUSTER INFO")
