"""A load balancer for drills and tests: sends visitors to daemons in turn, and leaves out one that is dead or not ready.

    with Balancer([Upstream(public=8080, private=8081), Upstream(public=8090, private=8091)]) as balancer:
        …  # http://127.0.0.1:PORT, where PORT is balancer.port

It does what any load balancer before Trilha should: asks `/readyz`, and gives a visitor whose daemon does not answer to the
next one. Where to read: rotation.py (whose turn it is), front.py (the bytes), process.py (the process around it).
"""

from chaos.balancer.process import Balancer
from chaos.balancer.rotation import Upstream

__all__ = ["Balancer", "Upstream"]
