"""A Trilha home that is driven from outside: its commands, its settings, its books."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from loadtests.ad import BOT, SLUG
from loadtests.children import Child, Children, clean_environment, fetch, free_port
from loadtests.plan import HOST, ROOT, RungFailed

COMMAND_SECONDS = 120
TRILHA = [sys.executable, "-m", "cli.main"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What `trilha accounting` says of a home."""

    issued: int
    synced: int
    spooled: int
    in_spools: int
    in_sql: int
    direct: int
    started: int
    balanced: bool
    faults: list[str]

    @property
    def stored(self) -> int:
        """Clicks that are in a store for good. Exact once nothing waits, or when SQL took none directly."""
        return self.in_spools + self.in_sql + self.direct

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Books:
        """From the command's JSON."""
        return cls(**{field.name: said[field.name] for field in fields(cls)})


class Home:
    """One folder with keys, tables, a bot and a link, and ports of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.public, self.private = free_port(), free_port()
        self.settings = settings
        self._made = time.monotonic()

    def make(self) -> None:
        """Make everything that `serve` needs."""
        self.folder.mkdir(mode=0o700)
        self.run("keys", "create")
        self.run("migrate")
        self.run("bot-account", "add", BOT)
        self.run("link", "add", SLUG, "--bot", BOT)

    def prepare(self, children: Children, core: int | None) -> None:
        """Make everything, and let `serve` write its copy of the catalog once: it can then start without SQL."""
        self.make()
        serve = self.serve(children, core)
        try:
            serve.wait_until((self.folder / "cache" / "catalog.json").exists)
            serve.end()
        finally:
            serve.kill()

    def copy(self, folder: Path, **settings: str) -> Home:
        """Another home, made of this one as it was prepared."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("spool", "run", "*.log"))
        return Home(folder, **settings)

    def serve(self, children: Children, core: int | None, **settings: str) -> Child:
        """`trilha serve`, once it says that it can answer redirects."""
        child = children.start(
            [*TRILHA, "serve"], core=core, log=self.folder / "serve.log", env=self._environment(settings)
        )
        child.wait_until(lambda: fetch(self.private, "/readyz")[0] == 200)
        return child

    def work(self, children: Children, core: int | None) -> Child:
        """`trilha work`."""
        return children.start(
            [*TRILHA, "work"], core=core, log=self.folder / "work.log", env=self._environment({})
        )

    def api_key(self) -> str:
        """A new key of the private listener."""
        return self.run("keys", "api", f"ladder-{time.monotonic_ns()}").strip()

    def books(self) -> Books:
        """The books of everything since this home was made."""
        minutes = int((time.monotonic() - self._made) / 60) + 60
        said = self.run("accounting", "--since", f"{minutes}m", "--json", fine=(0, 1))
        try:
            return Books.of(json.loads(said))
        except (ValueError, KeyError, TypeError) as error:
            raise RungFailed(f"trilha accounting said something that is not understood: {error!r}") from None

    def metrics(self) -> dict[str, float]:
        """The counters of the running daemon, by name and labels as they are printed."""
        return metrics_of(self.private)

    def size(self, *patterns: str) -> int:
        """Bytes of the files that match."""
        files = {path for pattern in patterns for path in self.folder.glob(pattern) if path.is_file()}
        return sum(path.stat().st_size for path in files)

    def run(self, *arguments: str, fine: tuple[int, ...] = (0,)) -> str:
        """What a command printed; RungFailed for any other exit code than `fine`."""
        try:
            done = subprocess.run(
                [*TRILHA, *arguments],
                cwd=ROOT,
                env=self._environment({}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RungFailed(f"trilha {arguments[0]} took more than {COMMAND_SECONDS} s") from None
        if done.returncode not in fine or (1 in fine and not done.stdout.startswith("{")):
            said = " | ".join(done.stderr.strip().splitlines())[-300:]
            raise RungFailed(f"trilha {' '.join(arguments)} exited {done.returncode}: {said}")
        return done.stdout

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        ours = {
            "home_dir": str(self.folder),
            "public_bind": f"{HOST}:{self.public}",
            "private_bind": f"{HOST}:{self.private}",
            "trusted_proxies": "127.0.0.0/8",
            "log_level": "warning",
        }
        given = ours | self.settings | dict(settings)
        return clean_environment() | {f"TRILHA_{name.upper()}": value for name, value in given.items()}


def metrics_of(private: int) -> dict[str, float]:
    """The counters behind a private listener; RungFailed when it does not answer."""
    status, text = fetch(private, "/metrics")
    if status != 200:
        raise RungFailed(f"/metrics answered {status or 'nothing'}")
    return parse_metrics(text)


def parse_metrics(text: str) -> dict[str, float]:
    """Samples of the Prometheus text format."""
    found = re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}
