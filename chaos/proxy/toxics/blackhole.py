"""A port whose packets vanish: connecting hangs.

The kernel drops every packet for the listening socket, by a socket filter, so that a connect gets no answer at all,
as behind a firewall. A full accept backlog (`listen(0)` and connections of one's own) makes it hang too, but lets one
in more and those of others that came first. Open connections are held by the pump, which then neither reads nor writes.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct

_ATTACH, _DETACH = (
    26,
    27,
)  # SO_ATTACH_FILTER, SO_DETACH_FILTER of Linux; the socket module has no names for them
_RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF_RET: 0 bytes of the packet are kept


def swallow(listener: socket.socket) -> None:
    """From now on nobody can connect, nor is told so."""
    program = ctypes.create_string_buffer(_RETURN_NOTHING)
    one_instruction = struct.pack("HP", 1, ctypes.addressof(program))
    listener.setsockopt(socket.SOL_SOCKET, _ATTACH, one_instruction)


def restore(listener: socket.socket) -> None:
    """Packets arrive again: who still tries to connect succeeds with the next SYN that the kernel sends."""
    with contextlib.suppress(FileNotFoundError):  # there was no filter
        listener.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
