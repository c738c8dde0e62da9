"""What the servers of a stage are called in a report."""

from __future__ import annotations

_CALLED = {
    "valkey": "Redis",
    "valkey-1": "a master of the cluster",
    "postgres": "PostgreSQL",
    "work": "the worker",
    "bot": "the bot worker",
    "serve": "the daemon",
    "balancer": "the balancer",
}


def called(server: str) -> str:
    """In the words of the product; a server that has no other name keeps its own."""
    return _CALLED.get(server, server)
