"""The gate of the private API: who has a key, how often it may be used, and how often a wrong one may be tried.

A right key is let in however many wrong ones were tried beside it: keys are 256 random bits, so the limit is there to
make guessing cheap for us, not to make it hard. Otherwise whoever shares an address with a bot could stop its sales.
"""

from math import ceil

from starlette.requests import Request
from starlette.responses import Response

from daemon.answers import error
from daemon.client_ip import ClientIp
from daemon.connections import group_of
from daemon.rates import Rates
from domain.clock import Clock
from domain.observations import Observer
from privacy.api_keys import ApiKeys

WRONG_RATE, WRONG_BURST = 1.0, 60.0
ALL_WRONG_RATE, ALL_WRONG_BURST = 50.0, 500.0
BURST_SECONDS = 2.0


class Gate:
    """Answers for the handler when a call may not come in."""

    def __init__(
        self, *, keys: ApiKeys, client_ip: ClientIp, rate: float, clock: Clock, observer: Observer
    ) -> None:
        self._keys = keys
        self._client_ip = client_ip
        self._observer = observer
        self._of_key = Rates(rate=rate, burst=rate * BURST_SECONDS, clock=clock)
        self._of_address = Rates(rate=WRONG_RATE, burst=WRONG_BURST, clock=clock)
        self._of_all = Rates(rate=ALL_WRONG_RATE, burst=ALL_WRONG_BURST, clock=clock)

    def stopped(self, request: Request) -> Response | None:
        """None for a call with a key of ours that may be used now; else the answer."""
        key = self._keys.known(request.headers.get("authorization", ""))
        if key is None:
            return self.wrong(
                request, error(401, "unauthorized", "send the header: Authorization: Bearer KEY")
            )
        wait = self._of_key.wait(key)
        return self._too_many("key", wait, "this key is used too often") if wait else None

    def wrong(self, request: Request, refusal: Response) -> Response:
        """`refusal`, or 429 where too many wrong keys or secrets were sent."""
        wait = self._of_address.wait(self._address(request))
        if wait:
            return self._too_many("address", wait, "too many wrong keys")
        wait = self._of_all.wait("")
        return self._too_many("total", wait, "too many wrong keys") if wait else refusal

    def _address(self, request: Request) -> str:
        peer = request.client.host if request.client else None
        forwarded = [value for name, value in request.headers.raw if name == b"x-forwarded-for"]
        return group_of(self._client_ip.of(peer, forwarded) or "")

    def _too_many(self, reason: str, wait: float, detail: str) -> Response:
        self._observer.api_refused(reason)
        answer = error(429, "too_many", f"{detail}; come back after Retry-After seconds")
        answer.headers["retry-after"] = str(ceil(wait))
        return answer
