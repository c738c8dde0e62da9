"""The stage: which servers and processes there are, where they listen, and how they come and go."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from chaos.balancer import Balancer
from chaos.crowd.plan import Plan
from chaos.crowd.process import TOLD
from chaos.inside.switches import Switches
from chaos.proxy.process import Proxy
from chaos.servers import HOST, PostgresServer, ValkeyServer, free_port
from chaos.servers.postgres_replica import PostgresReplica
from chaos.servers.process import Server, environment
from chaos.stage.home import BOT, SLUG, log_of, prepare
from chaos.stage.meta import MetaServer, connect_pixel
from chaos.stage.nodes import BACK, CUT, ads_of, join, node_settings, public_port, upstream_of, way_to
from chaos.stage.redis import start_redis
from chaos.stage.spec import StageSpec
from chaos.stage.telegram import TelegramServer
from chaos.stage.trilha import TrilhaProcess

DATABASE = "drill"


class Stage:
    """A Trilha as its spec says, from `set_up` to `take_down`; nothing of it is left afterwards, whatever happened.

    `servers` are all that may be killed or frozen, by name: valkey (or those of chaos/stage/redis.py),
    postgres, sql-replica, serve (serve-1 … when there are more), work,
    bot, meta, telegram. The last two are of this machine, for who has the spec ask for them.
    `proxies` stand before "redis" and "sql" where the spec says so. With nodes (nodes.py) there are serve-1 and work-1 …, a
    balancer before them, and the proxies are those of the first node: redis-1, sql-1, front-1 and back-1.
    """

    def __init__(self, spec: StageSpec) -> None:
        self.spec = spec
        self.folder = Path(tempfile.mkdtemp(prefix="trilha-drill-", dir=spec.folder))
        self.servers: dict[str, Server] = {}
        self.proxies: dict[str, Proxy] = {}
        self.meta: MetaServer | None = None
        self.telegram: TelegramServer | None = None
        self.api_key = ""
        self._stack = ExitStack()
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Set up; taken down again if that fails."""
        try:
            self.set_up()
        except BaseException:
            self.take_down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Take down."""
        self.take_down()

    def set_up(self) -> None:
        """Start the servers, prepare the home, start Trilha, and return when it answers."""
        self._mount()
        self._start_stores()
        self._start_outside()
        self.settings = self._settings()
        self.api_key = prepare(self._home_settings(0))
        if self.meta is not None:
            connect_pixel(self._home_settings(0), self.meta.token)
        if self.spec.nodes:
            join(self.folder, self.spec.nodes)
        for name in self._names():
            self.servers[name] = self._stack.enter_context(self._process(name))
        if self.spec.nodes:
            self._balance()

    def take_down(self) -> None:
        """End what runs, and remove the folder. Nobody is asked to end in an orderly way: all that counts has been looked at."""
        for server in self.servers.values():
            server.kill()
        self._stack.close()

    def add(self, name: str, server: Server) -> None:
        """Start one more server, which is taken down with the rest."""
        self.servers[name] = self._stack.enter_context(server)

    @property
    def daemons(self) -> list[TrilhaProcess]:
        """The `trilha serve` processes."""
        return [self.trilha(name) for name in self._names() if name.startswith("serve")]

    def trilha(self, name: str) -> TrilhaProcess:
        """A process of Trilha."""
        process = self.servers[name]
        assert isinstance(process, TrilhaProcess)
        return process

    @property
    def valkey(self) -> ValkeyServer:
        """The Redis of this stage."""
        server = self.servers["valkey"]
        assert isinstance(server, ValkeyServer)
        return server

    @property
    def postgres(self) -> PostgresServer:
        """The PostgreSQL of this stage."""
        server = self.servers["postgres"]
        assert isinstance(server, PostgresServer)
        return server

    @property
    def sql_replica(self) -> PostgresReplica:
        """The replica of that PostgreSQL, where the spec has one."""
        server = self.servers["sql-replica"]
        assert isinstance(server, PostgresReplica)
        return server

    @property
    def the_meta(self) -> MetaServer:
        """The Meta of this stage; RuntimeError where there is none."""
        if self.meta is None:
            raise RuntimeError("this stage has no Meta: its spec must say meta: true")
        return self.meta

    @property
    def the_telegram(self) -> TelegramServer:
        """The Telegram of this stage; RuntimeError where there is none."""
        if self.telegram is None:
            raise RuntimeError("this stage has no Telegram: its spec must say bot: true")
        return self.telegram

    @property
    def sqlite_file(self) -> Path:
        """SQLite's file, where that is the SQL tier."""
        return self.folder / "home" / "trilha.db"

    @property
    def told_file(self) -> Path:
        """Where the crowd writes down what it is told."""
        return self.folder / TOLD

    @property
    def spool_folder(self) -> Path:
        """Where all daemons have their spools; with nodes, each of these in a folder of its own below it."""
        if self.spec.nodes:
            return self.folder / "spools"
        return self.folder / ("small" if self.spec.tmpfs else "home") / "spool"

    @property
    def sql_disk(self) -> Path:
        """The small file system that PostgreSQL's tables are on, where the spec says so."""
        return self.postgres.directory / "small"

    @property
    def direct_sql_url(self) -> str:
        """SQL without a proxy before it: what the checker reads. Of a primary that is gone, the replica."""
        if self.spec.sql == "sqlite":
            return f"sqlite+aiosqlite:///{self.sqlite_file}"
        gone = self.spec.sql_replica and not self.postgres.alive
        return (self.sql_replica if gone else self.postgres).url(DATABASE)

    @property
    def _sql_url(self) -> str:
        if not self.spec.sql_replica:
            return self.direct_sql_url
        hosts = "&".join(f"host={HOST}:{server.port}" for server in (self.postgres, self.sql_replica))
        return f"postgresql+asyncpg://postgres@/{DATABASE}?{hosts}"

    def switches(self, name: str) -> Switches:
        """The faults inside the process of that name."""
        return Switches(self._switch_folder(name))

    def environment(self) -> dict[str, str]:
        """What a command of the operator's is run with; with nodes on the last, which nothing happens to."""
        return environment() | self._home_settings(max(self.spec.nodes, 1) - 1)

    def plan(self) -> Plan:
        """What a crowd on this stage does."""
        daemons = self.daemons
        given = {
            "public": [public_port(daemon) for daemon in daemons],
            "private": [daemon.port for daemon in daemons],
            "api_key": self.api_key,
            "slug": SLUG,
            "bot": BOT,
        }
        if "balancer" in self.servers:
            given["public"] = [self.servers["balancer"].port]
        if (back := self.proxies.get(BACK)) is not None:
            given["private"] = [back.port, *(daemon.port for daemon in daemons[1:])]
        return Plan(**given | self.spec.crowd)

    def asked_again(self) -> list[tuple[str, str]]:
        """Campaign and creative of the visits that the balancer gave to a second daemon."""
        balancer = self.servers.get("balancer")
        return ads_of(balancer.asked_again()) if isinstance(balancer, Balancer) else []

    def _balance(self) -> None:
        """Put a balancer before the nodes, with proxies between it and the first where the spec says so."""
        first, *others = self.daemons
        if "front" in self.spec.proxied:
            for name, proxy in way_to(first).items():
                self.proxies[name] = self._stack.enter_context(proxy)
        ways = {name: self.proxies[name] for name in self.proxies if name.startswith(("front", "back"))}
        upstreams = [upstream_of(first, ways), *(upstream_of(other, {}) for other in others)]
        self.servers["balancer"] = self._stack.enter_context(Balancer(upstreams))

    def _names(self) -> list[str]:
        if self.spec.nodes:
            return [f"{what}-{each}" for what in ("serve", "work") for each in range(1, self.spec.nodes + 1)]
        count = self.spec.daemons
        serves = ["serve"] if count == 1 else [f"serve-{number + 1}" for number in range(count)]
        return [*serves, "work", *(["bot"] if self.spec.bot else [])]

    def _mount(self) -> None:
        if not self.spec.tmpfs:
            return
        self._mount_at(self.folder / "small", self.spec.tmpfs)

    def _mount_at(self, place: Path, size: str) -> None:
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
        self._stack.callback(subprocess.run, ["umount", "-l", str(place)], check=False)

    def _start_stores(self) -> None:
        if self.spec.redis:
            kind = "single" if self.spec.redis is True else self.spec.redis
            self._redis = start_redis(kind, self._stack)
            self.servers |= self._redis.servers
        if self.spec.sql == "postgres":
            self._start_postgres()
        ports = {"redis": "valkey", "sql": "postgres"}
        for store in set(self.spec.proxied) & set(ports):
            proxy = Proxy(HOST, self.servers[ports[store]].port)
            name = f"{store}-{CUT}" if self.spec.nodes else store
            self.proxies[name] = self._stack.enter_context(proxy)

    def _start_postgres(self) -> None:
        postgres = self._stack.enter_context(PostgresServer(options=self.spec.postgres_options))
        self.servers["postgres"] = postgres
        if self.spec.sql_tmpfs:
            self._mount_at(self.sql_disk, self.spec.sql_tmpfs)
            self._stack.callback(postgres.stop)  # before its disk goes
        on = self.sql_disk if self.spec.sql_tmpfs else None
        postgres.create_database(DATABASE, on=on)
        if self.spec.sql_replica:
            replica = PostgresReplica(postgres, options=self.spec.postgres_options)
            self.servers["sql-replica"] = self._stack.enter_context(replica)

    def _start_outside(self) -> None:
        if self.spec.meta:
            self.servers["meta"] = self.meta = self._stack.enter_context(MetaServer())
        if self.spec.bot:
            self.servers["telegram"] = self.telegram = self._stack.enter_context(TelegramServer())

    def _settings(self) -> dict[str, str]:
        """What all processes have in common."""
        stores = self._store_urls("")
        home = {
            "TRILHA_HOME_DIR": str(self.folder / "home"),
            "TRILHA_SPOOL_DIR": str(self.spool_folder),
            "TRILHA_LOG_LEVEL": "info",
        }
        for outside in (self.meta, self.telegram):
            stores |= outside.settings if outside is not None else {}
        given = {f"TRILHA_{name.upper()}": self._filled(value) for name, value in self.spec.settings.items()}
        return home | stores | given

    def _filled(self, value: str) -> str:
        """With the ports at which stores are reached for {redis_port} and {sql_port}."""
        for store, server in (("redis", "valkey"), ("sql", "postgres")):
            if (reached := self.proxies.get(store) or self.servers.get(server)) is not None:
                value = value.replace(f"{{{store}_port}}", str(reached.port))
        return value

    def _store_urls(self, of: str) -> dict[str, str]:
        """How the stores are reached: by everybody, or with "-1" by that node."""
        redis = self._through("redis", of, self._redis.url) if self.spec.redis else ""
        return {"TRILHA_SQL_URL": self._through("sql", of, self._sql_url), "TRILHA_REDIS_URL": redis}

    def _through(self, store: str, of: str, url: str) -> str:
        """The URL with the proxy's port in it, where there is one."""
        if (proxy := self.proxies.get(store + of)) is None:
            return url
        server = self.servers["valkey" if store == "redis" else "postgres"]
        return url.replace(f":{server.port}/", f":{proxy.port}/")

    def _home_settings(self, number: int) -> dict[str, str]:
        own = {"TRILHA_NODE": str(number)}
        if self.spec.nodes:
            own |= node_settings(self.folder, number + 1) | self._store_urls(f"-{number + 1}")
        return self.settings | own

    def _process(self, name: str) -> TrilhaProcess:
        command, _, number = name.partition("-")
        port = free_port()
        binds = {"serve": "TRILHA_PRIVATE_BIND", "work": "TRILHA_WORK_BIND", "bot": "TRILHA_BOT_BIND"}
        settings = self._home_settings(int(number or 1) - 1) | {binds[command]: f"{HOST}:{port}"}
        if command == "serve":
            settings["TRILHA_PUBLIC_BIND"] = f"{HOST}:{free_port()}"
        return TrilhaProcess(
            command,
            port,
            settings,
            log_of(self.folder, name),
            inside=tuple(self.spec.inside.get(name, ())),
            switches=self._switch_folder(name),
        )

    def _switch_folder(self, name: str) -> Path:
        folder = self.folder / "switches" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
