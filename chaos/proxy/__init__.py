"""A TCP proxy with faults, to stand between Trilha and a store. Runs in a process of its own.

    with ValkeyServer() as valkey, Proxy(HOST, valkey.port) as proxy:
        proxy.set(Trouble(latency_ms=20, jitter_ms=5))
        proxy.set(Trouble(lose_reply=("SET",), lose_count=1))
        proxy.heal()

Where to read: trouble.py (what can be wrong), pump.py (one direction), toxics/ (one trouble a file), connection.py,
house.py. It needs Linux, for the blackhole.
"""

from chaos.proxy.process import Proxy
from chaos.proxy.trouble import NONE, Stats, Trouble

__all__ = ["NONE", "Proxy", "Stats", "Trouble"]
