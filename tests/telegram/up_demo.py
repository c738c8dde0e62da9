"""`scripts/up --demo`: the whole way of a click on this machine, with a Telegram and a Meta of its own and nobody's credentials.

A loopback Telegram, a loopback Meta and `trilha up` with its bot run as children. A simulated person opens the ad's link,
presses START, and buys.
Everything lies in its own home, var/demo unless TRILHA_HOME_DIR says otherwise. Of the other settings only the listeners'
addresses are heard: a demo has no business in the stores of a real Trilha.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from cli.up import DEMO_BOT, DEMO_SLUG
from daemon.listeners import listen
from domain.errors import ConfigError
from privacy.secret_file import replace_text
from runtime.lifecycle import sleep_until, stop_on_signals, tie_to_parent
from runtime.settings import Bind, Settings, load_settings
from tests.meta.demo_sale import PIXEL, connect, sale
from tests.telegram.demo_person import first_person
from tests.telegram.door import door_file

ROOT = Path(__file__).parents[2]
HEARD = (
    "TRILHA_PUBLIC_BIND",
    "TRILHA_PRIVATE_BIND",
    "TRILHA_BOT_BIND",
    "TRILHA_DASHBOARD_BIND",
    "TRILHA_LOG_LEVEL",
)
AD = (
    "utm_source=facebook&utm_medium=paid_social&utm_campaign=Lancamento%7C120210456789010123"
    "&utm_content=Video-15s%7C120210456789030123&utm_term=Stories"
    "&fbclid=IwY2xjawMZ0p9leHRuA2FlbQEwAGFkaWQBqyFxT3pLZQEeQ7rVn2hJw0tXmB5dKs_aem_Zm9vYmFyLWRlbW8tY2xpY2s"
)
WAIT_SECONDS = 60.0
STOP_SECONDS = 40.0
POLL_SECONDS = 0.1
SOCKET_LIMIT = 100


def main() -> int:
    """0 when all was well, 1 when something is missing, 2 when it cannot run like this."""
    arguments, for_up = _arguments()
    try:
        demo = Demo(_settings(arguments), for_up, once=arguments.once)
        return asyncio.run(demo.run())
    except (ConfigError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="scripts/up --demo", description="The whole way of a click, with a Telegram on this machine."
    )
    parser.add_argument(
        "--once", action="store_true", help="end after the first person; 1 if anything is missing"
    )
    parser.add_argument("--public-bind", metavar="HOST:PORT", help="of the redirects")
    parser.add_argument("--private-bind", metavar="HOST:PORT", help="of the API, health and metrics")
    parser.add_argument("--without-redis", action="store_true", help="run on disk and SQL alone")
    arguments = parser.parse_args()
    return arguments, ["--without-redis"] if arguments.without_redis else []


def _settings(arguments: argparse.Namespace) -> Settings:
    home = Path(os.environ.get("TRILHA_HOME_DIR") or ROOT / "var" / "demo").absolute()
    asked = {"TRILHA_PUBLIC_BIND": arguments.public_bind, "TRILHA_PRIVATE_BIND": arguments.private_bind}
    heard = {name: os.environ[name] for name in HEARD if os.environ.get(name)}
    return load_settings(
        heard | {name: at for name, at in asked.items() if at} | {"TRILHA_HOME_DIR": str(home)}
    )


class Demo:
    """One run of it."""

    def __init__(self, settings: Settings, for_up: list[str], *, once: bool) -> None:
        self._settings = settings
        self._for_up = for_up
        self._once = once
        self._home = settings.home_dir
        self._folder = self._home / "telegram"
        self._running: list[asyncio.subprocess.Process] = []
        self._environment = _without_settings() | {
            "TRILHA_HOME_DIR": str(self._home),
            "TRILHA_PUBLIC_BIND": str(settings.public_bind),
            "TRILHA_PRIVATE_BIND": str(settings.private_bind),
            "TRILHA_BOT_BIND": str(settings.bot_bind),
            "TRILHA_DASHBOARD_BIND": str(settings.dashboard_bind),
            "TRILHA_LOG_LEVEL": settings.log_level if "log_level" in settings.model_fields_set else "warning",
        }

    async def run(self) -> int:
        """Until Ctrl-C, or until the first person is answered."""
        self._look_before()
        stop = stop_on_signals()
        try:
            await self._start_telegram()
            await self._start_meta()
            up = await self._start("-m", "cli.main", "up", *self._for_up)
            if not await self._is_ready(up, stop):
                return await self._not_ready(up, stop)
            await connect(self._trilha, slug=DEMO_SLUG, token_file=str(self._pixel_token()))
            complete = await first_person(
                self._link(), bot=DEMO_BOT, folder=self._folder, trilha=self._trilha
            )
            order = f"demo-{secrets.token_hex(3)}"
            complete = await sale(self._trilha, bot=DEMO_BOT, order=order) and complete
            if not self._once:
                self._tell_how_to_go_on()
                await _first_of(stop.wait(), up.wait())
                complete = complete and stop.is_set()
            return 0 if complete else 1
        finally:
            await self._stop()

    def _look_before(self) -> None:
        """ConfigError for what would go wrong later, or hit a Trilha that is no demo."""
        if (self._home / "secrets").exists() and not self._folder.exists():
            raise ConfigError(
                f"{self._home} is the home of a Trilha that is no demo. Choose another TRILHA_HOME_DIR"
            )
        if len(str(door_file(self._folder))) > SOCKET_LIMIT:
            raise ConfigError(
                f"the path {self._home} is too long for a socket. Choose a shorter TRILHA_HOME_DIR"
            )
        _free(self._settings.public_bind, "--public-bind or TRILHA_PUBLIC_BIND")
        _free(self._settings.private_bind, "--private-bind or TRILHA_PRIVATE_BIND")
        _free(self._settings.bot_bind, "TRILHA_BOT_BIND")

    async def _start_telegram(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = _secret(self._folder / "bot-token", f"7000000001:{secrets.token_urlsafe(27)[:35]}")
        named = f"{DEMO_BOT} {token.read_text(encoding='utf-8')}"
        telegram = await self._start(
            *("-m", "tests.telegram", "--folder", str(self._folder), "--bot", f"{DEMO_BOT}:{token}"),
            tells=True,
        )
        address, _, key_file = (await self._ready(telegram, "the loopback Telegram")).partition(" ")
        self._environment |= {
            "TRILHA_TELEGRAM_API_ID": "1",
            "TRILHA_TELEGRAM_API_HASH_FILE": str(_secret(self._folder / "api-hash", secrets.token_hex(16))),
            "TRILHA_BOT_TOKENS_FILE": str(_secret(self._folder / "bot-tokens", named)),
            "TRILHA_TELEGRAM_SERVER": address,
            "TRILHA_TELEGRAM_SERVER_KEY": key_file,
        }
        print(f"demo: a Telegram of its own at {address}", flush=True)

    async def _start_meta(self) -> None:
        words = ("-m", "tests.meta", "--pixel", PIXEL, "--token-file", str(self._pixel_token()))
        url = await self._ready(await self._start(*words, tells=True), "the loopback Meta")
        self._environment |= {"TRILHA_META_URL": url}
        print(f"demo: a Meta of its own at {url}", flush=True)

    def _pixel_token(self) -> Path:
        return _secret(self._folder / "pixel-token", f"EAAB{secrets.token_hex(40)}")

    async def _ready(self, process: asyncio.subprocess.Process, who: str) -> str:
        """What it says when it is ready."""
        assert process.stdout is not None
        ready, _, said = (await process.stdout.readline()).decode().strip().partition(" ")
        if ready != "ready":
            raise ConfigError(f"{who} has not started")
        return said

    async def _is_ready(self, up: asyncio.subprocess.Process, stop: asyncio.Event) -> bool:
        """Once redirects and the bot are. False when that is in vain."""
        waiting = [self._settings.private_bind, self._settings.bot_bind]
        deadline = time.monotonic() + WAIT_SECONDS
        while up.returncode is None and not stop.is_set() and time.monotonic() < deadline:
            if all([await asyncio.to_thread(_is_ready, bind) for bind in waiting]):
                return True
            await sleep_until(stop, POLL_SECONDS)
        return False

    async def _not_ready(self, up: asyncio.subprocess.Process, stop: asyncio.Event) -> int:
        if stop.is_set():
            return 1 if self._once else 0
        if up.returncode is not None:
            print("demo: trilha up has ended", file=sys.stderr)
            return up.returncode or 1
        print(f"demo: not ready after {WAIT_SECONDS:g} s", file=sys.stderr)
        return 1

    def _tell_how_to_go_on(self) -> None:
        python = _short(Path(sys.executable))
        print(
            f"\nIt goes on until Ctrl-C. Another person:\n"
            f"  {python} -m tests.telegram.demo '{self._link()}' --folder {_short(self._folder)} --person 43 --name Bia\n"
            f"What became of a click:\n"
            f"  TRILHA_HOME_DIR={_short(self._home)} {_short(Path(sys.executable).with_name('trilha'))} click show TOKEN\n",
            flush=True,
        )

    def _link(self) -> str:
        return f"http://{self._settings.public_bind}/go/{DEMO_SLUG}?{AD}"

    async def _start(self, *command: str, tells: bool = False) -> asyncio.subprocess.Process:
        """A child that Ctrl-C does not reach, and that does not outlive us."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *command),
            cwd=ROOT,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if tells else None,
            preexec_fn=_apart,
        )
        self._running.append(process)
        return process

    async def _trilha(self, *words: str, said: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", *words),
            cwd=ROOT,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(said.encode())
        return output.decode().rstrip()

    async def _stop(self) -> None:
        """The bot before its Telegram."""
        for process in reversed(self._running):
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), STOP_SECONDS)
                except TimeoutError:
                    process.kill()
                    await process.wait()


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TRILHA_")}


def _apart() -> None:
    """In the child: the terminal's Ctrl-C goes to its foreground group, which is ours."""
    os.setpgrp()
    tie_to_parent()


def _free(bind: Bind, setting: str) -> None:
    listen(bind, setting).close()


def _secret(file: Path, text: str) -> Path:
    """The file, which only its owner may read; what it holds already stays."""
    if not file.exists():
        replace_text(file, text)
    return file


def _is_ready(bind: Bind) -> bool:
    connection = HTTPConnection(bind.host, bind.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _short(path: Path) -> str:
    """As one writes it in the checkout."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


async def _first_of(*waits: object) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    sys.exit(main())
