"""`python -m tests.meta --port P --pixel ID --token-file FILE`: the server alone, until SIGTERM or SIGINT.

Prints one line when it is ready: `ready URL`. Another process rules it under URL/_fake/ (tests/meta/control.py).
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

import msgspec

from tests.meta.control import set_fault
from tests.meta.server import FakeMeta


def main() -> None:
    """Run until told to stop."""
    asyncio.run(_serve(_arguments()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.meta", description="A loopback Meta.")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument(
        "--pixel", action="append", default=[], help="may be repeated, each with a token file"
    )
    parser.add_argument(
        "--token-file", type=Path, action="append", default=[], help="the access token of a pixel"
    )
    parser.add_argument("--app-secret-file", type=Path, help="demand the proof of this secret of all pixels")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="JSON", help='{"fault": "throttle", "share": 0.1}'
    )
    parser.add_argument("--seed", type=int, default=1, help="of faults that strike by share")
    parser.add_argument("--ids-only", action="store_true", help="keep which events came, not what is in them")
    arguments = parser.parse_args()
    if len(arguments.pixel) != len(arguments.token_file):
        parser.error("each --pixel needs a --token-file")
    return arguments


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    meta = FakeMeta(port=arguments.port, whole=not arguments.ids_only, seed=arguments.seed)
    secret = _line(arguments.app_secret_file) if arguments.app_secret_file else None
    for pixel, token_file in zip(arguments.pixel, arguments.token_file, strict=True):
        meta.add_pixel(pixel, _line(token_file), secret)
    for fault in arguments.fault:
        set_fault(meta, msgspec.json.decode(fault))
    async with meta:
        print(f"ready {meta.url}", flush=True)
        await stopped.wait()


def _line(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    main()
