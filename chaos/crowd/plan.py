"""What a crowd does, as data: handed to its process in a file, because keys do not belong on a command line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

CAMPAIGNS, CREATIVES = 97, 89
FIRST_PERSON = 5_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Clicks come at `rate` a second, in turn on the `public` ports, until the crowd is told to stop.

    Every `start_each`-th visitor presses START, `start_after` seconds after the click; every `contest_each`-th of those
    hands the token to a second person at the same moment, and every `repeat_each`-th presses twice. 0 turns a thing off.
    `contest_after`: so many seconds after the first person. Whoever has no answer after `patience` seconds has none.
    `balanced`: a visitor whose connection is refused or reset is sent to the next port, as a load balancer does it.
    """

    public: list[int]
    private: list[int]
    api_key: str
    slug: str
    bot: str
    rate: float = 200.0
    start_each: int = 10
    start_after: float = 0.5
    contest_each: int = 5
    contest_after: float = 0.0
    repeat_each: int = 7
    patience: float = 10.0
    balanced: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Into a file for this user only."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Plan:
        """From such a file."""
        return cls(**json.loads(path.read_text()))


def campaign(number: int) -> str:
    """What the ad of that click says of its campaign. The checker looks for it in what is stored."""
    return f"Campanha {number % CAMPAIGNS}"


def creative(number: int) -> str:
    """What it says of its creative."""
    return f"Anúncio {number % CREATIVES}"


def fbclid(number: int) -> str:
    """A click id of its own for each click."""
    return f"IwAR{number:09d}{'x' * 52}_aem_{number:09d}"
