"""Actions that wait for settling."""

from __future__ import annotations

from chaos.checker.held import waiting_entries
from chaos.stage.trilha import wait_until
from chaos.toolkit.current import drill

USUAL = 100


def settled(within: float) -> None:
    """Wait, while the crowd clicks on, until no more waits in the spools than what has just come. TimeoutError in seconds."""
    spools = drill().stage.spool_folder
    wait_until("the backlog was settled", lambda: waiting_entries(spools) <= USUAL, within, poll=0.1)
    drill().mark("the backlog is settled")
