"""`python -m tests.delivery.relay_process --lease 2`: the relay of `trilha work` alone, to be killed, until SIGTERM.

Its settings are in the environment, as the product's. Claims are let go sooner than there, and a call may take less: whoever
kills it ten times has not ten minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

from backends.build import WORKER_PATIENCE
from backends.sql.engine import close_engine, make_engine
from daemon.worker import relay_of
from delivery.meta.client import MetaClient
from domain.clock import SystemClock
from domain.observations import Silent
from privacy.keyring import Keyring
from privacy.redact import redact_event
from runtime.logs import set_up_logs
from runtime.settings import load_settings


async def relay(lease: float, call: float) -> None:
    """Deliver until told to stop."""
    settings, clock, stop = load_settings(), SystemClock(), asyncio.Event()
    set_up_logs("info", redact_event)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    engine = make_engine(settings.sql, patience=WORKER_PATIENCE)
    meta = MetaClient(settings.meta_url, seconds=call)
    keyring = Keyring(settings.secrets, clock)
    try:
        await relay_of(settings, engine, keyring, meta, clock, Silent(), lease_seconds=lease).run(stop)
    finally:
        await meta.close()
        await close_engine(engine)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--lease", type=float, default=2.0, help="seconds that claims are one's own")
    asked.add_argument("--call", type=float, default=1.0, help="seconds that a call to Meta may take")
    given = asked.parse_args()
    asyncio.run(relay(given.lease, given.call))


if __name__ == "__main__":
    main()
