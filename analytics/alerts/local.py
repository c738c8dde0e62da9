"""What is measured on this machine: its spools, its disks, its daemon. Works while SQL is down."""

import asyncio
import shutil
from pathlib import Path

from analytics.alerts.readings import Reading, Readings, node_subject
from analytics.daemons import DaemonState, ask
from backends.build import local_spools
from backends.guarded import NAME as LEDGER
from backends.sql.signs import SqlSigns
from domain.books import MINUTE_MS
from runtime.settings import Settings

EXPECTED_MINUTES = 24 * 60
"""A daemon that has answered clicks within this time is missed when it does not answer."""


class LocalMeasures:
    """Reads this machine. Raises nothing of the stores': what cannot be read is not in the answer."""

    def __init__(self, settings: Settings, signs: SqlSigns) -> None:
        self._settings = settings
        self._signs = signs
        self._node = settings.node
        self._expected = False
        self._unread_since_ms: int | None = None
        self.waits_since_ms: int | None = None

    async def spools(self, now_ms: int) -> Readings:
        """How long the oldest record waits, and the share of the quota in use."""
        load, all_read = await local_spools(self._settings).load()
        self.waits_since_ms = load.oldest_ms
        # One that cannot be read is not settled either: it waits for as long as that lasts.
        self._unread_since_ms = None if all_read else self._unread_since_ms or now_ms
        since = [at for at in (load.oldest_ms, self._unread_since_ms) if at is not None]
        age = max(0.0, (now_ms - min(since, default=now_ms)) / 1000)
        own = node_subject(self._node)
        share = {own: load.volume / int(self._settings.spool_quota)} if all_read else {}
        return {"spool_oldest": Reading({own: age}), "spool_share": Reading(share, all_read)}

    async def disks(self, _now_ms: int) -> Readings:
        """The used share of the disks that home and spools lie on."""
        folders = {"home": self._settings.home_dir, "spools": self._settings.spools}
        shares = {name: await asyncio.to_thread(_used_share, folder) for name, folder in folders.items()}
        known = {node_subject(self._node, name): share for name, share in shares.items() if share is not None}
        return {"disk_share": Reading(known, whole=False)}

    async def daemon(self, now_ms: int, *, sql_answers: bool) -> Readings:
        """Whether the daemon of this machine answers, and how its tiers are; SQL as this worker sees it too."""
        state = await ask(self._settings.private_bind)
        if sql_answers:
            self._expected = await self._signs.answered(self._node, now_ms // MINUTE_MS - EXPECTED_MINUTES)
        silent = state is None and self._expected
        return {
            "daemon_silent": Reading({node_subject(self._node): float(silent)}),
            "tiers": self._tiers(state, sql_answers=sql_answers),
        }

    def _tiers(self, state: DaemonState | None, *, sql_answers: bool) -> Reading:
        down = {} if state is None else {name: float(how != "closed") for name, how in state.tiers.items()}
        # One store, which redirects, starts and this worker see.
        down["sql"] = max(down.get("sql", 0.0), down.pop(LEDGER, 0.0), float(not sql_answers))
        found = {node_subject(self._node, name): value for name, value in down.items()}
        return Reading(found, whole=state is not None)


def _used_share(folder: Path) -> float | None:
    """Of the disk that the folder lies on; None when it is not there."""
    try:
        found = shutil.disk_usage(folder)
    except OSError:
        return None
    # As `df`: what is kept for root is nobody's.
    return found.used / (found.used + found.free) if found.used + found.free else None
