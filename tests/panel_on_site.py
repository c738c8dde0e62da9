"""A dashboard on the home of a daemon of this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.daemon_fixture import Site
from tests.panel import Panel


@asynccontextmanager
async def panel_of(site: Site) -> AsyncIterator[Panel]:
    """A dashboard on the site's home and SQL."""
    extra = {
        "TRILHA_PRIVATE_BIND": str(site.settings.private_bind),
        "TRILHA_PUBLIC_URL": "https://go.example.com",
        # Nobody's: a bot worker of this machine is none of the test's business.
        "TRILHA_BOT_BIND": "127.0.0.1:1",
    }
    panel = Panel(site.settings.home_dir, site.settings.sql, extra)
    async with panel.running() as running:
        yield running
