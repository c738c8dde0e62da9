"""The demo's first person: from the ad to the books, told in a few lines."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from tests.telegram.demo import opened, started

READS_SECONDS = 3


class Trilha(Protocol):
    """What a `trilha` command of the demo's home prints; `said` is its standard input."""

    def __call__(self, *words: str, said: str = "") -> Awaitable[str]: ...


async def first_person(link: str, *, bot: str, folder: Path, trilha: Trilha) -> bool:
    """What she does, and what came of it. True when nothing is missing."""
    print(f"\nAna sees the ad and opens its link:\n  GET {link}", flush=True)
    status, location = await asyncio.to_thread(opened, link)
    token = parse_qs(urlsplit(location).query).get("start", [""])[0]
    print(f"  {status} -> {location or 'nowhere'}")
    print(f"She reads for {READS_SECONDS} s: a person who starts at once looks like a program.", flush=True)
    await asyncio.sleep(READS_SECONDS)
    said = {"person": 42, "name": "Ana", "bot": bot, "text": f"/start {token}", "seconds": 20}
    began = time.monotonic()
    answer = await asyncio.to_thread(started, folder, said)
    took = round((time.monotonic() - began) * 1000)
    reply = answer.get("reply", "")
    print(f"Ana presses START:\n  @{bot} after {took} ms: {reply or answer}", flush=True)
    shown, books = await _settled(trilha, token), await trilha("accounting")
    print(f"\n$ trilha click show {token}\n{shown}\n\n$ trilha accounting\n{books}", flush=True)
    return _is_complete(status, reply, shown, books)


async def _settled(trilha: Trilha, token: str) -> str:
    """The click once it is in SQL, which takes a moment; as it is when that does not come."""
    shown = ""
    for _ in range(10):
        shown = await trilha("click", "show", "-", said=token)
        if _has(shown, "settled", "True"):
            break
    return shown


def _is_complete(status: int, reply: str, shown: str, books: str) -> bool:
    missing = [
        *(["the redirect"] if status != 302 else []),
        *(["the reply"] if not reply else []),
        *(["the click's owner"] if not _has(shown, "owner", "42") else []),
        *(["the campaign"] if not _has(shown, "utm", "Lancamento") else []),
        *(["the balance"] if "The books balance." not in books else []),
    ]
    if missing:
        print(f"demo: missing: {', '.join(missing)}", file=sys.stderr)
    return not missing


def _has(shown: str, name: str, part: str) -> bool:
    """True when the line of that name has the part."""
    return any(line.startswith(f"{name} ") and part in line for line in shown.splitlines())
