"""What a stage is made of, as an experiment's file says it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from chaos.stage.redis import RedisKind
from domain.errors import ConfigError

Sql = Literal["sqlite", "postgres"]
MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """`configuration.stage` of an experiment.

    sql: which engine. redis: single, sentinel (a master, a replica, three Sentinels) or cluster (three masters, a replica each);
    true is single, false none. proxied: which of "redis" and "sql" are reached through a proxy, that
    faults of the network are put on. daemons: how many `trilha serve`, each with a spool of its own. nodes: how many machines,
    each with a home, spools, `trilha serve` and `trilha work` of its own, behind a balancer; the proxies are then those of
    the first node, and "front" among `proxied` stands for its own listeners. bot: whether
    `trilha bot` runs too, against a Telegram of this machine. meta: whether conversions are delivered to a Meta of this
    machine. settings: TRILHA_ settings of all processes, in which {redis_port} and {sql_port}
    stand for the ports at which those are reached. inside: the faults (chaos/inside) that are made possible in the
    process of that name. crowd: fields of the crowd's plan. tmpfs: size of a file system of its own that the spools are
    on, such as 8m (needs root). postgres_options: settings of PostgreSQL, such as max_connections=20. sql_replica: whether PostgreSQL
    has a synchronous replica, by which Trilha finds it too. sql_tmpfs: size of a
    file system of its own that PostgreSQL's tables are on (needs root). in_memory: whether the stores are in memory (where the
    machine has /dev/shm), for what is asked about processors: a disk that stands still now and then would answer. calm_s: seconds
    before anything is broken. quiet_s: at
    the end, do not wait any longer for what is missing once nothing waits in a spool and nothing has changed for so many
    seconds (0: wait on).
    """

    sql: Sql = "sqlite"
    redis: RedisKind | bool = True
    proxied: tuple[str, ...] = ()
    daemons: int = 1
    nodes: int = 0
    bot: bool = False
    meta: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    inside: dict[str, list[str]] = field(default_factory=dict)
    crowd: dict[str, Any] = field(default_factory=dict)
    tmpfs: str = ""
    postgres_options: tuple[str, ...] = ()
    sql_replica: bool = False
    sql_tmpfs: str = ""
    in_memory: bool = False
    calm_s: float = 4.0
    quiet_s: float = 0.0

    @property
    def folder(self) -> Path | None:
        """Where the stage's own folder is made; None: where this machine keeps what is temporary."""
        return MEMORY if self.in_memory and os.access(MEMORY, os.W_OK) else None

    @classmethod
    def of(cls, given: dict[str, Any]) -> StageSpec:
        """From an experiment; ConfigError for what no stage has."""
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise ConfigError(f"a stage has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        lists = {name: tuple(given.get(name, ())) for name in ("proxied", "postgres_options")}
        spec = cls(**given | lists)
        if spec.sql not in ("sqlite", "postgres"):
            raise ConfigError(f"sql of a stage is sqlite or postgres, not {spec.sql}")
        if spec.nodes and (spec.sql == "sqlite" or spec.tmpfs or spec.bot):
            raise ConfigError("nodes of a stage share PostgreSQL, and have neither tmpfs nor bot")
        if not isinstance(spec.redis, bool) and spec.redis not in get_args(RedisKind):
            raise ConfigError(
                f"redis of a stage is {', '.join(get_args(RedisKind))}, true or false, not {spec.redis}"
            )
        if "redis" in spec.proxied and spec.redis not in (True, "single"):
            raise ConfigError("only a single Redis is reached through a proxy")
        if "sql" in spec.proxied and spec.sql_replica:
            raise ConfigError("a PostgreSQL with a replica is not reached through a proxy")
        return spec
