"""`python -m tests.telegram --folder F --port P --bot USERNAME:TOKENFILE`: the server alone, until SIGTERM or SIGINT.

Prints one line when it is ready: `ready HOST:PORT KEYFILE`. People come in by `F/people.sock` (tests/telegram/door.py).
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from pathlib import Path

from tests.telegram.door import Door
from tests.telegram.server import LoopbackTelegram


def main() -> None:
    """Run until told to stop."""
    asyncio.run(_serve(_arguments()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.telegram", description="A loopback Telegram.")
    parser.add_argument(
        "--folder", type=Path, required=True, help="for its keys; the same folder, the same server"
    )
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument(
        "--bot", action="append", default=[], metavar="USERNAME:TOKENFILE", help="may be repeated"
    )
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # What it knew is gone when it ends, but bots remember: the next one counts from higher numbers.
    telegram = LoopbackTelegram(arguments.folder, port=arguments.port, first_number=int(time.time()))
    async with telegram, Door(telegram, arguments.folder):
        for bot in arguments.bot:
            username, _, token_file = bot.partition(":")
            telegram.add_bot(Path(token_file).read_text(encoding="utf-8").strip(), username)
        print(f"ready {telegram.host}:{telegram.port} {telegram.key_file}", flush=True)
        await stopped.wait()


if __name__ == "__main__":
    main()
