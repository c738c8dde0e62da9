"""`python -m tests.meta.measure`: how many events a second the server takes in batches of 1000, over a real socket.

Server and sender share the core they run on when told so (`taskset -c 0`); the sender only repeats prepared bytes with new ids.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.meta.events import PIXEL, TOKEN, good_event, good_purchase
from tests.meta.rules import MOST_EVENTS

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Start a server, send, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m tests.meta.measure")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--ids-only", action="store_true")
    arguments = parser.parse_args()
    bodies = [_body(number) for number in range(arguments.events // MOST_EVENTS)]
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(bodies, _server(Path(folder), ids_only=arguments.ids_only)))


def _body(number: int) -> bytes:
    makers = (good_event, good_purchase)
    events = [makers[each % 2](event_id=f"{number}-{each}") for each in range(MOST_EVENTS)]
    return msgspec.json.encode({"data": events})


def _server(folder: Path, *, ids_only: bool) -> subprocess.Popen[str]:
    (folder / "token").write_text(TOKEN)
    command = [sys.executable, "-m", "tests.meta", "--pixel", PIXEL, "--token-file", str(folder / "token")]
    server = subprocess.Popen(
        [*command, *(["--ids-only"] if ids_only else [])], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    return server


async def _measure(bodies: list[bytes], server: subprocess.Popen[str]) -> None:
    port = int(server.stdout.readline().rpartition(":")[2])  # type: ignore[union-attr]
    try:
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in bodies:
            await _send(reader, writer, body)
        seconds = time.perf_counter() - began
        writer.close()
    finally:
        server.terminate()
        server.wait()
    events = len(bodies) * MOST_EVENTS
    size = len(bodies[0]) / MOST_EVENTS
    print(f"{events} events of {size:.0f} bytes in {seconds:.2f} s: {events / seconds:,.0f} a second")


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> None:
    head = f"POST /v26.0/{PIXEL}/events HTTP/1.1\r\nhost: meta\r\nauthorization: Bearer {TOKEN}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    said = msgspec.json.decode(await reader.readexactly(length))
    assert said.get("events_received") == MOST_EVENTS, said


if __name__ == "__main__":
    main()
