"""A customer's bot: it asks about clicks, and reports starts again, as bots do after a restart."""

from __future__ import annotations

from loadtests.crowd import Request
from loadtests.pump import Arrival
from loadtests.users.starter import start_request
from loadtests.users.visitor import Visitor


class ApiBot(Visitor):
    """Two look-ups of a click to one repeated start. Before there is any click, it makes one itself."""

    kind = "api_bot"

    def __init__(self, environment: object) -> None:
        super().__init__(environment)
        self._turn = 0

    def act(self, arrival: Arrival) -> None:
        stage = self.stage
        self._turn += 1
        if self._turn % 3 == 0 and stage.starts:
            self.send(start_request("start again", stage.crowd.one_of(stage.starts)), arrival)
        elif token := stage.crowd.one_of(stage.tokens):
            self.send(_look(token), arrival)
        else:
            self.click(stage.crowd.ad_click(), arrival)


def _look(token: str) -> Request:
    return Request(
        name="look at a click",
        listener="private",
        path=f"/v1/clicks/{token}",
        expected=frozenset({200}),
        key=True,
    )
