"""An orderly end: signals, and work that repeats until then."""

import asyncio
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator

from runtime.logs import get_logger

PDEATHSIG = 1
GIVE_WAY = 10  # nice: a tenth of the processor while redirects want it all
_log = get_logger("trilha.lifecycle")


def stop_on_signals() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set. A second signal changes nothing: the end is already under way."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def call_on_reload(call: Callable[[], object]) -> None:
    """Have SIGHUP call that, instead of ending the process."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, call)


def tie_to_parent() -> None:
    """In a new process: Ctrl-C is the parent's to hear, and the parent's death ends it (on Linux)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGTERM)


def give_way() -> None:
    """Let the machine's other processes go first from now on: what can wait must not make a redirect wait."""
    os.setpriority(os.PRIO_PROCESS, 0, max(GIVE_WAY, os.getpriority(os.PRIO_PROCESS, 0)))


def raise_open_files() -> int:
    """Raise the soft limit of open files to the hard one; the limit then in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # macOS calls it unlimited and then refuses that
            return soft
    return hard if hard != resource.RLIM_INFINITY else 2**31


async def repeat(work: Callable[[], Awaitable[object]], seconds: float, stop: asyncio.Event) -> None:
    """Do `work` every `seconds` until `stop`. A failure is logged and does not end the repetition."""
    while not stop.is_set():
        try:
            await work()
        except Exception as error:  # noqa: BLE001  background work goes on whatever happened once
            _log.warning("background work failed", work=work.__qualname__, error=str(error))
        await sleep_until(stop, seconds)


async def sleep_until(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but no longer than until `stop`."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


def longer_waits(first: float, longest: float) -> Iterator[float]:
    """Seconds between tries, each twice the one before, up to the longest; without an end."""
    wait = first
    while True:
        yield wait
        wait = min(2 * wait, longest)
