"""A connection that is cut."""

from __future__ import annotations

import asyncio
import socket
import struct

_DISCARD = struct.pack("ii", 1, 0)  # linger for 0 s: close() sends RST instead of FIN


def reset(transport: asyncio.Transport) -> None:
    """Close with RST, which the peer sees as ECONNRESET; what was not sent yet never is."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
    transport.abort()
