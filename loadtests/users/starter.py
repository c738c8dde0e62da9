"""A person taps on an ad, looks at the bot for some seconds, and presses START."""

from __future__ import annotations

import json

from loadtests.ad import BOT
from loadtests.crowd import Request
from loadtests.pump import Arrival
from loadtests.users.visitor import Visitor


class Starter(Visitor):
    """The START has a moment of its own: how long the click took does not put off whoever comes meanwhile."""

    kind = "starter"

    def act(self, arrival: Arrival) -> None:
        token = self.click(self.stage.crowd.ad_click(), arrival)
        if token:
            seconds = self.stage.crowd.think_seconds() / self.stage.job.think
            self.stage.pump.later(seconds, self.kind, lambda user, then: user.press_start(token, then))

    def press_start(self, token: str, arrival: Arrival) -> None:
        """What the bot tells Trilha once START was pressed."""
        person = self.stage.person()
        body = json.dumps({"bot": BOT, "telegram_id": person, "token": token, "update_id": person})
        if self.send(start_request("start", body), arrival) is not None:
            self.stage.starts.append(body)


def start_request(name: str, body: str) -> Request:
    """A start on the private listener."""
    return Request(
        name=name,
        listener="private",
        method="POST",
        path="/v1/starts",
        headers={"Content-Type": "application/json"},
        body=body,
        expected=frozenset({200}),
        key=True,
    )
