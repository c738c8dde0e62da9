"""The demo's sale: what its first person buys, and what of it all reaches Meta."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable
from typing import Any, Protocol

PIXEL = "120210000000001"
EVENTS = ("PageView", "ViewContent", "Purchase")
BUYER = {"email": "ana.demo@acme.com.br", "phone": "(11) 91234-5678", "first_name": "Ana"}
LOOKS = 20
LOOK_SECONDS = 0.5


class Trilha(Protocol):
    """What a `trilha` command of the demo's home prints; `said` is its standard input."""

    def __call__(self, *words: str, said: str = "") -> Awaitable[str]: ...


async def connect(trilha: Trilha, *, slug: str, token_file: str) -> None:
    """The pixel with its token, the link with the pixel, its page views reported too."""
    await trilha("pixel", "add", PIXEL, "--token-file", token_file)
    await trilha("link", "edit", slug, "--pixel", PIXEL)
    await trilha("link", "events", slug, "--on", "PageView")


async def sale(trilha: Trilha, *, bot: str, order: str) -> bool:
    """She buys; every event of hers is shown as Meta has accepted it. True when nothing is missing."""
    words = ("conversion", "Purchase", "--bot", bot, "--telegram-id", "42", "--order-id", order)
    words += ("--value", "97.00", "--currency", "BRL", "--person", "-")
    print(f"\nAna buys for R$ 97.00, and gives her e-mail and phone:\n$ trilha {' '.join(words)}", flush=True)
    print(await trilha(*words, said=json.dumps(BUYER)), flush=True)
    lanes = await _delivered(trilha)
    print(f"\n$ trilha outbox show {order}\n{await trilha('outbox', 'show', order)}", flush=True)
    print(f"\n$ trilha pixel status {PIXEL}\n{await trilha('pixel', 'status', PIXEL)}", flush=True)
    missing = [event for event in EVENTS if event not in lanes]
    if missing:
        print(f"demo: Meta has not got: {', '.join(missing)}", file=sys.stderr)
    return not missing


async def _delivered(trilha: Trilha) -> set[str]:
    """The events that Meta has, once it has them all; those that it has when that does not come."""
    found: set[str] = set()
    for _ in range(LOOKS):
        said: Any = json.loads(await trilha("outbox", "list", "--state", "sent", "--json"))
        found = {row["event"] for row in said["deliveries"]}
        if found.issuperset(EVENTS):
            break
        await asyncio.sleep(LOOK_SECONDS)
    return found
