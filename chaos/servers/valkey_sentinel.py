"""A real Valkey with a replica, and three Sentinels that watch both."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

from chaos.servers.process import HOST, Server, wait_for
from chaos.servers.valkey import ValkeyServer

SERVICE = "trilha"
DOWN_MS, FAILOVER_MS = 1000, 3000
SECONDS = 30.0


class SentinelServer(ValkeyServer):
    """One Sentinel. It writes what it learns into its own configuration."""

    prefix = "trilha-sentinel-"

    def __init__(self, master: ValkeyServer, *, lines: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._file = self.directory / "sentinel.conf"
        said = [
            f"bind {HOST}",
            f"port {self.port}",
            f"dir {self.directory}",
            f"sentinel monitor {SERVICE} {HOST} {master.port} 2",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_MS}",
            f"sentinel failover-timeout {SERVICE} {FAILOVER_MS}",
            *lines,
        ]
        self._file.write_text("".join(f"{line}\n" for line in said))

    def _spawn(self, *more: str) -> None:
        self._child.spawn([str(self.binary), str(self._file), "--sentinel", *more])


class SentinelSet:
    """`servers` by name: valkey (the master at first), valkey-replica, sentinel-1 to -3. Ready when a failover can be."""

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """As TRILHA_REDIS_URL."""
        ports = ",".join(f"{HOST}:{self.servers[f'sentinel-{number}'].port}" for number in (1, 2, 3))
        return f"redis+sentinel://{ports}/{SERVICE}"

    def server(self, name: str) -> ValkeyServer:
        """One of them."""
        server = self.servers[name]
        assert isinstance(server, ValkeyServer)
        return server

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # The parent's stack closes them in the other order, and all of them where one does not come up.
            master = self._start(stack, "valkey", ValkeyServer(options=("--repl-diskless-sync-delay", "0")))
            replica = self._start(
                stack,
                "valkey-replica",
                ValkeyServer(
                    options=("--replicaof", f"{HOST} {master.port}", "--repl-diskless-sync-delay", "0")
                ),
            )
            wait_for("the replica follows", lambda: in_step(replica), SECONDS)
            for number in (1, 2, 3):
                self._start(stack, f"sentinel-{number}", SentinelServer(master))
            wait_for("three Sentinels and a replica are known", self._complete, SECONDS)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack, name: str, server: ValkeyServer) -> ValkeyServer:
        self.servers[name] = stack.enter_context(server)
        return server

    def _complete(self) -> bool:
        sentinels = [self.server(f"sentinel-{number}") for number in (1, 2, 3)]
        asked = (f"SENTINEL REPLICAS {SERVICE}", f"SENTINEL SENTINELS {SERVICE}")
        return all([one.command(line) for line in asked] == [b"*1", b"*2"] for one in sentinels)


def in_step(replica: ValkeyServer) -> bool:
    """Whether it has all that its master has."""
    return b"master_link_status:up" in replica.text("INFO replication")
