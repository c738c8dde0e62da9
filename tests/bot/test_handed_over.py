"""The bot worker on a socket of its service manager."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.bot.office import Office
from tests.handed_over import PATIENCE, Systemd
from tests.telegram.server import LoopbackTelegram


async def test_a_worker_shows_how_it_is_on_the_socket_it_was_handed(
    tmp_path: Path, telegram: LoopbackTelegram
) -> None:
    office = await Office.prepared(tmp_path, telegram)
    systemd = Systemd(tmp_path / "notify")
    with systemd.ears() as ears:
        waiting = asyncio.create_task(systemd.asked("/healthz"))  # before anybody is there to answer
        with systemd.running("bot", "bot", office.environment()) as process:
            await systemd.until_ready(ears)
            assert b"HTTP/1.1 200" in await waiting
            process.terminate()
            assert await asyncio.to_thread(process.wait, PATIENCE) == 0
