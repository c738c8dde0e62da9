"""`python -m tests.telegram.demo LINK --folder F`: somebody opens an ad's link and presses START at the loopback Telegram.

Prints where the link leads and what the bot replies. Ends with 1 if either is missing.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.telegram.door import door_file

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"


def main() -> int:
    """The whole way of one person."""
    parser = argparse.ArgumentParser(prog="python -m tests.telegram.demo", description="A simulated person.")
    parser.add_argument("link", help="http://127.0.0.1:8080/go/SLUG?fbclid=…")
    parser.add_argument("--folder", type=Path, required=True, help="of the loopback Telegram")
    parser.add_argument("--person", type=int, default=42)
    parser.add_argument("--name", default="Ana")
    parser.add_argument("--seconds", type=float, default=10, help="to wait for the reply")
    arguments = parser.parse_args()
    status, location = opened(arguments.link)
    print(f"{arguments.link}\n  -> {status} {location}")
    bot, token = urlsplit(location).path.strip("/"), parse_qs(urlsplit(location).query).get("start", [""])[0]
    said = {
        "person": arguments.person,
        "name": arguments.name,
        "bot": bot,
        "text": f"/start {token}".strip(),
        "seconds": arguments.seconds,
    }
    answer = started(arguments.folder, said)
    print(f"{arguments.name}: START\n{bot}: {answer.get('reply') or answer}")
    return 0 if token and "reply" in answer else 1


def opened(link: str) -> tuple[int, str]:
    """The answer's status and where it leads, without going there. Empty if nowhere."""
    parts = urlsplit(link)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("GET", path, headers={"User-Agent": PHONE, "Accept-Language": "pt-BR"})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Location", "")
    finally:
        connection.close()


def started(folder: Path, said: dict[str, Any]) -> dict[str, Any]:
    """Say something to a bot, and what came back."""
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(str(door_file(folder)))
        door.sendall(json.dumps(said).encode() + b"\n")
        with door.makefile("r", encoding="utf-8") as lines:
            answer: dict[str, Any] = json.loads(lines.readline())
    return answer


if __name__ == "__main__":
    sys.exit(main())
