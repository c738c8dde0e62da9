"""The fault matrix: everything that is known to break, whether a drill covers it, and why not where none does.

Docs show it (docs/drills.md, made by `python -m chaos.matrix_page`); a test holds it equal to what experiments cover.
"""

from __future__ import annotations

from dataclasses import dataclass

TIERS = ("Redis", "disk", "SQL", "process", "network", "combined", "node", "traffic", "Meta", "Telegram")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault. `id` is TIER.NAME, `expected` what must happen; `absent`: why no drill covers it ('' where one does)."""

    id: str
    fault: str
    expected: str
    absent: str = ""


_REDIS_AWAY = "the breaker opens within 100 ms of load; durability is unaffected"
_REDIS_SLOW = "302 within the deadline; the breaker opens on slow answers"
_REDIS_ILL = "fails fast; only a probe that writes sees that it is well again"
_REDIS_OLD = "harmless: nothing is resurrected"
_REDIS_MOVES = "found in the background: some clicks are not visible, and no redirect waits"
_DISK_FULL = "SQL directly, then token_only; what was acknowledged stays"
_DISK_ILL = "a failed fsync is never tried again; the deadline holds"
_DISK_LOST = "all synced clicks are recovered; a bad record is skipped and counted; one lock"
_SQL_AWAY = "redirects are unaffected; starts are deferred"
_SQL_BUSY = "settling tries again"
_NETWORK = "as if that store were ill itself; breakers do not flap"
_CRASH = "I1 to I4 hold: what was acknowledged is there, once"
_NODE = "everybody is sent on; its spool is settled after the heal; another node leads"
_NODE_DEAD = "the others take its visitors; its spool is settled once it is back"
_META = "backs off, bisects, holds the lane: nothing is lost, nothing is silent"
_TELEGRAM = "no start is lost; an answer may be late, never twice"

MATRIX = (
    Row(id="redis.kill", fault="kill -9", expected=_REDIS_AWAY),
    Row(id="redis.refused", fault="connection refused", expected=_REDIS_AWAY),
    Row(id="redis.reset", fault="connections are reset", expected=_REDIS_AWAY),
    Row(id="redis.freeze", fault="SIGSTOP", expected=_REDIS_SLOW),
    Row(id="redis.blackhole", fault="packets vanish", expected=_REDIS_SLOW),
    Row(id="redis.silent", fault="accepts, then says nothing", expected=_REDIS_SLOW),
    Row(id="redis.latency-5", fault="5 ms slower", expected=_REDIS_SLOW),
    Row(id="redis.latency-20", fault="20 ms slower", expected=_REDIS_SLOW),
    Row(id="redis.latency-100", fault="100 ms slower", expected=_REDIS_SLOW),
    Row(id="redis.latency-1000", fault="a second slower", expected=_REDIS_SLOW),
    Row(id="redis.bandwidth", fault="1 KB/s", expected=_REDIS_SLOW),
    Row(id="redis.oom", fault="out of memory (OOM)", expected=_REDIS_ILL),
    Row(id="redis.readonly", fault="read-only replica (READONLY)", expected=_REDIS_ILL),
    Row(id="redis.loading", fault="loading its data (LOADING)", expected=_REDIS_ILL),
    Row(id="redis.misconf", fault="cannot save to its disk (MISCONF)", expected=_REDIS_ILL),
    Row(id="redis.password", fault="wrong password", expected=_REDIS_ILL),
    Row(id="redis.maxclients", fault="no more clients (maxclients)", expected=_REDIS_ILL),
    Row(id="redis.flushall", fault="FLUSHALL", expected=_REDIS_OLD),
    Row(id="redis.old-snapshot", fault="an old RDB comes back", expected=_REDIS_OLD),
    Row(id="redis.replica", fault="a lagging replica is promoted", expected=_REDIS_OLD),
    Row(id="redis.sentinel-failover", fault="the master behind Sentinels is killed", expected=_REDIS_MOVES),
    Row(id="redis.cluster-master", fault="one master of a cluster is killed", expected=_REDIS_MOVES),
    Row(id="disk.full", fault="the file system is full (ENOSPC)", expected=_DISK_FULL),
    Row(id="disk.quota", fault="the spool is at its quota", expected=_DISK_FULL),
    Row(id="disk.read-only", fault="the file system is read-only (EROFS)", expected=_DISK_FULL),
    Row(id="disk.files", fault="no more open files (EMFILE)", expected=_DISK_FULL),
    Row(id="disk.write-error", fault="EIO on write", expected=_DISK_ILL),
    Row(id="disk.sync-error", fault="EIO on fsync", expected=_DISK_ILL),
    Row(id="disk.slow-50", fault="fsync takes 50 ms", expected=_DISK_ILL),
    Row(id="disk.slow-500", fault="fsync takes 500 ms", expected=_DISK_ILL),
    Row(id="disk.torn-tail", fault="torn tail", expected=_DISK_LOST),
    Row(id="disk.bit-flip", fault="a bit flips", expected=_DISK_LOST),
    Row(id="disk.power", fault="un-fsynced pages are lost", expected=_DISK_LOST),
    Row(id="disk.two-writers", fault="two writers on one spool", expected=_DISK_LOST),
    Row(id="disk.orphan", fault="an orphaned spool is adopted", expected=_DISK_LOST),
    Row(id="sql.kill", fault="kill -9", expected=_SQL_AWAY),
    Row(id="sql.promote", fault="its primary is lost, a replica promoted", expected=_SQL_AWAY),
    Row(id="sql.freeze", fault="SIGSTOP", expected=_SQL_AWAY),
    Row(id="sql.blackhole", fault="packets vanish", expected=_SQL_AWAY),
    Row(id="sql.disk-full", fault="its disk is full", expected=_SQL_AWAY),
    Row(id="sql.read-only", fault="read-only", expected=_SQL_AWAY),
    Row(id="sql.pool", fault="no connection left", expected=_SQL_AWAY),
    Row(id="sql.lock", fault="a lock held for 30 s", expected=_SQL_BUSY),
    Row(id="sql.deadlock", fault="deadlock", expected=_SQL_BUSY),
    Row(id="sql.busy", fault="SQLITE_BUSY", expected=_SQL_BUSY),
    Row(id="sql.migration", fault="a migration is running", expected=_SQL_BUSY),
    Row(
        id="sql.commit-unknown",
        fault="cut after COMMIT was sent",
        expected="trying again gives the same owner",
    ),
    Row(
        id="sql.older-backup",
        fault="an older backup is restored",
        expected="start facts settle again; old tokens are refused",
    ),
    Row(id="process.before-write", fault="SIGKILL before a write to the spool", expected=_CRASH),
    Row(id="process.after-write", fault="SIGKILL after the write, before fsync", expected=_CRASH),
    Row(id="process.after-fsync", fault="SIGKILL after fsync, before the answer", expected=_CRASH),
    Row(id="process.after-302", fault="SIGKILL after the 302", expected=_CRASH),
    Row(id="process.before-trim", fault="SIGKILL after COMMIT, before the trim", expected=_CRASH),
    Row(id="process.after-upsert", fault="SIGKILL after a start's COMMIT", expected=_CRASH),
    Row(id="process.after-send", fault="SIGKILL after Meta took it, before the mark", expected=_CRASH),
    Row(id="process.sigterm", fault="SIGTERM under load", expected="the spool is drained or kept"),
    Row(id="process.stall", fault="the loop stalls for 200 ms", expected="the rest is unharmed"),
    Row(id="process.clock", fault="the clock jumps an hour", expected="nothing is lost or doubled"),
    Row(id="process.rolling", fault="rolling restart of two daemons", expected="nobody is refused"),
    Row(id="process.boot", fault="boot with every store down", expected="I10: redirects are answered"),
    Row(id="network.daemon-redis", fault="daemon and Redis apart", expected=_NETWORK),
    Row(id="network.daemon-sql", fault="daemon and SQL apart", expected=_NETWORK),
    Row(id="network.bot-redis", fault="bot and Redis apart", expected=_NETWORK),
    Row(id="network.bot-sql", fault="bot and SQL apart", expected=_NETWORK),
    Row(id="network.one-way", fault="one direction only", expected=_NETWORK),
    Row(id="network.dns", fault="names are not resolved", expected=_NETWORK),
    Row(id="network.flapping", fault="away and back every second", expected=_NETWORK),
    Row(id="combined.redis-disk", fault="Redis and disk", expected="SQL takes clicks directly"),
    Row(id="combined.redis-sql", fault="Redis and SQL", expected="the disk has them all"),
    Row(id="combined.disk-sql", fault="disk and SQL", expected="token_only; Redis shows them"),
    Row(id="combined.all", fault="all three", expected="token_only, and the ring brings them later"),
    Row(id="combined.backlog", fault="heal with 100,000 waiting", expected="paced: live p99 stays within 2x"),
    Row(id="node.cut-off", fault="one of three nodes has neither Redis nor SQL for a minute", expected=_NODE),
    Row(
        id="node.isolated", fault="nothing reaches one of three nodes, and it reaches nothing", expected=_NODE
    ),
    Row(id="node.killed", fault="kill -9 of all of one of three nodes", expected=_NODE_DEAD),
    Row(id="traffic.start-first", fault="a start before its click", expected="owned once the click is there"),
    Row(id="traffic.contested", fault="one token, two people", expected="one owner"),
    Row(id="traffic.shuffled", fault="batches shuffled and repeated", expected="the same state (I12)"),
    Row(id="traffic.forged", fault="1,000 forged tokens a second", expected="refused without asking a store"),
    Row(id="traffic.hostile", fault="slow and loud strangers", expected="live p99 stays within 2x"),
    Row(id="traffic.surge", fault="ten times the clicks", expected="nothing is lost"),
    Row(id="meta.429", fault="429", expected=_META),
    Row(id="meta.5xx", fault="5xx", expected=_META),
    Row(id="meta.timeout", fault="no answer", expected=_META),
    Row(id="meta.bad-event", fault="one bad event in a batch", expected=_META),
    Row(id="meta.revoked", fault="the token is revoked", expected=_META),
    Row(id="meta.too-old", fault="an event older than 7 days", expected=_META),
    Row(id="telegram.flood-wait", fault="FLOOD_WAIT", expected=_TELEGRAM),
    Row(id="telegram.dropped", fault="connections are dropped", expected=_TELEGRAM),
    Row(id="telegram.freeze", fault="it stands still", expected=_TELEGRAM),
    Row(id="telegram.downtime", fault="down with starts waiting", expected=_TELEGRAM),
    Row(id="telegram.migration", fault="DC migration", expected=_TELEGRAM),
)


def tier_of(row_id: str) -> str:
    """The tier that a row's id begins with, as it is written."""
    return {tier.lower(): tier for tier in TIERS}[row_id.partition(".")[0]]
