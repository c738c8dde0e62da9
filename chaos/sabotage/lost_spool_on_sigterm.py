"""The spool acknowledges from memory and writes three seconds later; SIGTERM ends the process with what was not yet written.

Who has had it: Snowplow's collector (its buffer in memory went with it, PR 4312), Relay (rows were taken into memory before
they were handled), and most programs that batch before they send. Found by: SIGTERM under load, as in every deployment.
"""

from __future__ import annotations

from chaos.sabotage._later import write_later

LATER_SECONDS = 3.0  # longer than an orderly end takes on a slow machine, or nothing would be left to lose


def plant() -> None:
    """Acknowledge first, and forget at the end."""
    write_later(LATER_SECONDS, finish=False)
