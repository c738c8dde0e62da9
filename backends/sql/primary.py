"""Finding the PostgreSQL that takes writes, among several hosts, and leaving one that does not any more."""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.engine import ExceptionContext

CONNECT_SECONDS = 2.0
_TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword")
# A server that only reads, shuts down, starts, or has ended the connection.
_LOST = {"25006", "57P01", "57P02", "57P03"}


async def connect_to_primary(**given: Any) -> Any:
    """A connection to the host that takes writes. All hosts are asked at once: one that is silent holds up no other.

    OSError, TimeoutError or the driver's error of a host that was tried: none takes writes within CONNECT_SECONDS.
    """
    hosts, ports = _several(given.pop("host", None)), _several(given.pop("port", None))
    if len(ports) == 1:
        ports *= len(hosts)
    tls = {name: given.pop(name) for name in _TLS if name in given}
    if tls:
        # The driver reads these from a URL only.
        given["dsn"] = f"postgresql://?{urlencode(tls)}"
    if len(hosts) < 2:
        return await _connect(given | _place(hosts[0], ports[0]))
    given |= {"target_session_attrs": "read-write"}
    return await _first([_connect(given | _place(*where)) for where in zip(hosts, ports, strict=True)])


async def _connect(given: dict[str, Any]) -> Any:
    import asyncpg

    return await asyncpg.connect(**given, timeout=CONNECT_SECONDS)


async def _first(tries: Sequence[Any]) -> Any:
    """What the first of them gives, and the others' connections are closed; else the first error."""
    tasks = [asyncio.ensure_future(each) for each in tries]
    pending, won = set(tasks), None
    try:
        while pending and won is None:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            won = next((task for task in done if task.exception() is None), None)
    finally:
        for task in tasks:
            if task is not won:
                task.add_done_callback(_close)
                task.cancel()
    if won is not None:
        return won.result()
    failed = tasks[0].exception()
    raise failed if failed is not None else OSError("no host takes writes")


def _close(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _place(host: Any, port: Any) -> dict[str, Any]:
    return {name: value for name, value in (("host", host), ("port", port)) if value is not None}


def leave_a_lost_primary(context: ExceptionContext) -> None:
    """A connection to a server that only reads, ends, or does not answer is dropped; of the first two, all are."""
    state = getattr(context.original_exception, "sqlstate", None)
    if state in _LOST:
        context.is_disconnect = True
    elif isinstance(context.original_exception, TimeoutError):
        # A lock that was waited for, or a host that is gone without a word: the next statement asks anew who is there.
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False
