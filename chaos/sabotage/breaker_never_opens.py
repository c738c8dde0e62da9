"""No breaker ever opens: every call goes to a store that does not answer, and waits for it until its time is over.

Who has had it: whoever sets a timeout and nothing else; the defaults of most database clients. Found by: a store that hangs
(SIGSTOP, blackhole): the latency of the redirects is the deadline for as long as it lasts, not for the first moments.
"""

from __future__ import annotations

from typing import Any

from backends.breaker import Breaker
from chaos.inside.patch import replace


def plant() -> None:
    """What would open it is not heard."""

    def opening(_: Any) -> Any:
        def stay_closed(_self: Any, _now: float) -> None:
            return None

        return stay_closed

    replace(Breaker, "_open", opening)
