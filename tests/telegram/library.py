"""The client library, imported: kurigram or Pyrogram 2.0.106, whichever is first on the path.

Both ask for the current event loop while they are imported, which Python deprecates where there is none.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from types import ModuleType


def imported() -> ModuleType:
    """The library. Imported outside of a running loop, it is given one for the moment."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return importlib.import_module("pyrogram")
        finally:
            asyncio.set_event_loop(None)
            loop.close()
    return importlib.import_module("pyrogram")


# It says at its import that it would like another AES.
logging.getLogger("pyrogram.crypto.aes").setLevel(logging.ERROR)
pyrogram = imported()
