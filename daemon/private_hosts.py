"""The private listener answers to its own names only.

A page in somebody's browser can point a name of its own at this machine (DNS rebinding) and read what the listener says
to everyone. The browser then sends that name as Host.
"""

from collections.abc import Iterable
from typing import Any

from daemon.answers import error
from daemon.client_ip import parse_address

# Telegram's webhook is asked by its public name, through a proxy, and says nothing without its secret.
PUBLIC_PREFIX = "/telegram/"


class PrivateHosts:
    """An ASGI application: 421 for a Host that is no address, not localhost and none of `names`."""

    def __init__(self, app: Any, names: Iterable[str]) -> None:
        self._app = app
        self._names = {"localhost", *(_plain(name) for name in names)}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on, or refuse; the work is the same for every path and every name."""
        host = next((value for name, value in scope["headers"] if name == b"host"), None)
        if host is None or self._is_ours(host.decode("latin-1")) or scope["path"].startswith(PUBLIC_PREFIX):
            await self._app(scope, receive, send)
            return
        refusal = error(421, "wrong_host", "this name is not in TRILHA_PRIVATE_HOSTS")
        await refusal(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        return parse_address(host) is not None or _plain(host) in self._names


def _plain(host: str) -> str:
    """Without port, last dot and capitals."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).rstrip(".").lower()
