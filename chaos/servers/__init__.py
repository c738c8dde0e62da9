"""Real servers for tests: Valkey and PostgreSQL, started, killed, frozen and brought back on one port.

Plain objects with no pytest in them. Each owns a temporary directory and one process; whatever a test
does, nothing of either is left when the object or the interpreter ends.

    with ValkeyServer() as valkey:      # or .start() ... .stop()
        valkey.kill()                   # SIGKILL
        valkey.start()                  # same port, same URL
"""

from chaos.servers.postgres import PostgresServer, find_postgres
from chaos.servers.process import HOST, ServerFailed, ServerMissing, free_port
from chaos.servers.valkey import ValkeyServer, find_valkey
from chaos.servers.valkey_cluster import ClusterSet
from chaos.servers.valkey_sentinel import SentinelSet

__all__ = [
    "HOST",
    "ClusterSet",
    "PostgresServer",
    "SentinelSet",
    "ServerFailed",
    "ServerMissing",
    "ValkeyServer",
    "find_postgres",
    "find_valkey",
    "free_port",
]
