"""The spool acknowledges clicks before they are committed and fsync'd: they are, 50 ms later, and at an orderly end.

Who has had it: MongoDB's unacknowledged writes (the default of its drivers until 2012), Redis with `appendfsync everysec`,
Elasticsearch's asynchronous translog, PostgreSQL with `synchronous_commit=off`. Found by: SIGKILL under load, a power cut, a
full disk. In fair weather nobody sees it, and it is faster.
"""

from __future__ import annotations

from chaos.sabotage._later import write_later

LATER_SECONDS = 0.05


def plant() -> None:
    """Acknowledge first."""
    write_later(LATER_SECONDS, finish=True)
