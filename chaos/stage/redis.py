"""The Redis of a stage: one server, a master with a replica and three Sentinels, or a cluster of three and three."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from chaos.servers import ClusterSet, SentinelSet, ValkeyServer
from chaos.servers.process import Server

RedisKind = Literal["single", "sentinel", "cluster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRedis:
    """Its servers by name, and what TRILHA_REDIS_URL is."""

    servers: Mapping[str, Server]
    url: str


def start_redis(kind: RedisKind, stack: ExitStack) -> StageRedis:
    """Started, and taken down by the stack."""
    match kind:
        case "single":
            valkey = stack.enter_context(ValkeyServer())
            return StageRedis(servers={"valkey": valkey}, url=valkey.url)
        case "sentinel":
            sentinels = stack.enter_context(SentinelSet())
            return StageRedis(servers=sentinels.servers, url=sentinels.url)
        case "cluster":
            cluster = stack.enter_context(ClusterSet())
            return StageRedis(servers=cluster.servers, url=cluster.url)
