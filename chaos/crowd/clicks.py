"""The visitors: open loop. Each click has its own moment, whatever became of those before it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import quote

from chaos.crowd.plan import Plan, campaign, creative, fbclid
from chaos.crowd.told import Clicked, Notebook
from chaos.crowd.visitor import NO_ANSWER, Visitor, trouble_of

AGENT = (
    "Mozilla/5.0 (Linux; Android 14; SM-A546E Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/131.0.6778.135 Mobile Safari/537.36 Instagram 361.0.0.46.88 Android"
)

PASSED_ON = ("refused", "reset")


class Clicks:
    """Sends the plan's clicks until `stop`; `on_token` hears of every redirect that came with a token."""

    def __init__(self, plan: Plan, notebook: Notebook, on_token: Callable[[int, str], None]) -> None:
        self._plan = plan
        self._notebook = notebook
        self._on_token = on_token
        self._free: dict[int, deque[Visitor]] = {port: deque() for port in plan.public}
        self._stopping = asyncio.Event()
        self.rate = plan.rate

    def stop(self) -> None:
        """No more clicks; `run` returns once those under way are answered."""
        self._stopping.set()

    async def run(self) -> None:
        """Click until stopped, and wait for all answers."""
        number, moment = 0, time.monotonic()
        async with asyncio.TaskGroup() as under_way:
            while not self._stopping.is_set():
                moment = await self._until(moment)
                under_way.create_task(self._click(number, moment))
                number += 1
        for free in self._free.values():
            while free:
                await free.popleft().leave()

    async def _until(self, moment: float) -> float:
        """Wait for the next click's moment. A crowd that stands still goes on from when it is let go."""
        while self.rate <= 0 and not self._stopping.is_set():
            await asyncio.sleep(0.01)
            moment = time.monotonic()
        moment += 1 / self.rate if self.rate > 0 else 0.0
        await asyncio.sleep(moment - time.monotonic())
        return moment

    async def _click(self, number: int, moment: float) -> None:
        began = time.monotonic()
        status, token, trouble = 0, "", ""
        for port in self._ports_for(number):
            status, token, trouble = await self._ask(port, number)
            if trouble not in PASSED_ON:
                break
        self._tell(number, moment, began, status, token, trouble)

    def _ports_for(self, number: int) -> list[int]:
        """Where the visitor is sent, and where next if that one does not take it."""
        ports = self._plan.public
        first = number % len(ports)
        return [*ports[first:], *ports[:first]] if self._plan.balanced else [ports[first]]

    async def _ask(self, port: int, number: int) -> tuple[int, str, str]:
        """Status, token and trouble."""
        free = self._free[port]
        visitor = free.popleft() if free else Visitor(port)
        try:
            async with asyncio.timeout(self._plan.patience):
                status, headers, _ = await visitor.ask(request_of(number, self._plan))
        except NO_ANSWER as error:
            await visitor.leave()
            return 0, "", trouble_of(error)
        free.append(visitor)
        return status, headers.get("location", "").partition("?start=")[2], ""

    def _tell(self, number: int, moment: float, began: float, status: int, token: str, trouble: str) -> None:
        now = time.monotonic()
        answer = Clicked(
            number=number,
            at=moment,
            ms=round((now - moment) * 1000, 3),
            late_ms=round((began - moment) * 1000, 3),
            status=status,
            trouble=trouble,
            token=token,
        )
        self._notebook.clicked(answer)
        if answer.redirected:
            self._on_token(number, token)


def request_of(number: int, plan: Plan) -> bytes:
    """The click of that number as it goes over the wire: an ad and a click id of its own."""
    ad = {
        "utm_source": "FB",
        "utm_medium": "cpc",
        "utm_campaign": campaign(number),
        "utm_content": creative(number),
    }
    query = "&".join(f"{name}={quote(value)}" for name, value in (ad | {"fbclid": fbclid(number)}).items())
    headers = {"Host": "go.example.com", "User-Agent": AGENT, "Accept-Language": "pt-BR"} | plan.headers
    lines = [
        f"GET /go/{plan.slug}?{query} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
