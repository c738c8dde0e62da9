"""What the process of a proxy is told: one JSON object a line over a Unix socket, each answered by one.

{"do": "set", "trouble": {"latency_ms": 20}}   ->  {"stats": {...}}, once it is in force
{"do": "stats"}                                ->  {"stats": {...}}
anything else                                  ->  {"error": "..."}
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaos.proxy.house import House
from chaos.proxy.trouble import Trouble


async def listen(house: House, path: Path) -> asyncio.Server:
    """Obey whoever of this user connects."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            answer = await _answer(house, line)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(converse, sock=_own(path))


def _own(path: Path) -> socket.socket:
    """A socket at that path, which only this user may open."""
    path.unlink(missing_ok=True)  # of a process that was killed
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    path.chmod(0o600)  # before it listens
    return made


async def _answer(house: House, line: bytes) -> dict[str, Any]:
    try:
        await _obey(house, json.loads(line))
    except (ValueError, OSError) as problem:
        return {"error": str(problem)}
    return {"stats": asdict(house.stats)}


async def _obey(house: House, command: dict[str, Any]) -> None:
    match command:
        case {"do": "set", "trouble": dict(trouble)}:
            await house.set(Trouble.from_dict(trouble))
        case {"do": "stats"}:
            pass
        case _:
            raise ValueError(f"no such command: {command}")
