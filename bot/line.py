"""A line to Telegram for one bot: what the worker asks of it, in our words. `bot/mtproto/` is the one there is.

LineError
├── Unreachable   Telegram cannot be asked now: try again
├── Flooded       Telegram wants a pause of so many seconds
├── Refused       Telegram has said no for good to this one call
└── Dismissed     the account itself is refused: what is wrong with the bot
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from bot.incoming import Blocking, Incoming, Outgoing, Person
from domain.accounts import UpdateState
from domain.errors import TrilhaError
from domain.links import BotHealth


class LineError(TrilhaError):
    """A call to Telegram did not do what it should."""


class Unreachable(LineError):
    """No answer, or no connection."""


class Flooded(LineError):
    """FLOOD_WAIT."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Telegram wants a pause of {seconds:g} s")
        self.seconds = seconds


class Refused(LineError):
    """An error of the call. `name` is Telegram's, such as USER_IS_BLOCKED."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Telegram refused: {name}")
        self.name = name


class Dismissed(LineError):
    """The bot is banned, or its token is revoked."""

    def __init__(self, health: BotHealth) -> None:
        super().__init__(f"Telegram no longer knows this bot: {health}")
        self.health = health


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """The bot as Telegram knows it."""

    telegram_id: int
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One update: its numbers in their sequence, and what it says, if that matters here."""

    sequence: Literal["pts", "qts"]
    end: int
    count: int
    says: Incoming | Blocking | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Updates:
    """What Telegram has pushed. behind: it says that there is more to be asked for."""

    updates: tuple[Update, ...] = ()
    date: int = 0
    behind: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What has happened since a state. `state` is the one after it; `more` when that is not the newest.

    too_long: Telegram no longer has what lies between, and it is lost.
    """

    says: tuple[Incoming | Blocking, ...] = ()
    state: UpdateState
    more: bool = False
    too_long: bool = False


OnUpdates = Callable[[Updates], None]


class Line(Protocol):
    """One session with Telegram. Every call ends in time; all raise LineError.

    `send` with the same `reply_id` again sends nothing again: Telegram remembers it.
    """

    async def open(self, on_updates: OnUpdates) -> Me: ...
    async def close(self) -> None: ...
    async def me(self) -> Me: ...
    async def state(self) -> UpdateState: ...
    async def difference(self, since: UpdateState) -> Difference: ...
    async def send(self, person: Person, outgoing: Outgoing, *, reply_id: int) -> None: ...
