"""Actions about backups."""

from __future__ import annotations

import time

from chaos.toolkit.current import drill


def back_up() -> None:
    """A copy of PostgreSQL's data, while everybody goes on."""
    drill().log.backed_up = time.monotonic()
    drill().stage.postgres.back_up()
    drill().mark("a backup of SQL was made")
