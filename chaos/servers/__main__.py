"""`python -m chaos.servers`: is every server there that the tests need."""

from __future__ import annotations

import sys

from chaos.servers import PostgresServer, ServerFailed, ServerMissing, ValkeyServer


def main() -> int:
    """Start each server once and say which it is: what a fresh machine lacks is said before a test fails."""
    try:
        with ValkeyServer() as valkey, PostgresServer() as postgres:
            sys.stdout.write(f"valkey: {valkey.binary}\npostgres: {postgres.binaries}\n")
    except (ServerMissing, ServerFailed) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
