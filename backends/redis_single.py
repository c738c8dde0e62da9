"""SingleRedis: one server."""

from collections.abc import Sequence

from backends.redis_line import RedisLine, Reply
from backends.redis_topology import Ask, Places, answered, trial
from backends.redis_url import Endpoint
from domain.errors import StoreUnavailable


class SingleRedis:
    """A Topology of one connection, which the breaker's probe opens again."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.line = RedisLine(endpoint)

    async def write(self, asks: Sequence[Ask]) -> bool:
        """True; a part is never missing."""
        await answered(self.line, asks)
        return True

    async def read(self, ask: Ask) -> Reply:
        """The value, or None."""
        return (await answered(self.line, [ask]))[0]

    async def read_aside(self, ask: Ask) -> Reply:  # noqa: ARG002  a port
        """There is nobody else to ask."""
        raise StoreUnavailable("this Redis has no replicas that are read")

    async def probe(self) -> None:
        """Connect if need be, then a real write."""
        await self.line.connect()
        await answered(self.line, [trial()])

    def places(self) -> Places:
        """The one."""
        return Places(masters=(self.line,))

    async def close(self) -> None:
        """Close the connection."""
        await self.line.close()
