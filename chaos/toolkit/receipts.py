"""For experiments that kill a daemon."""

from __future__ import annotations

from chaos.toolkit.current import drill


def receipts_lost() -> None:
    """A daemon is about to be killed: the receipts that it has given and not yet written into the books go with it."""
    drill().log.receipts_lost = True
