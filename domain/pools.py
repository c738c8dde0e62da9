"""Which bot of a link's pool a visitor is sent to: a pure rule, and the one thing it remembers, whose turn it is."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.errors import ConfigError
from domain.links import Bot, BotHealth, Link, Member, Strategy

MAX_MEMBERS, MAX_WEIGHT, MAX_PRIORITY = 20, 1000, 100
# A roll has as many bits: the last of a click's id (UUIDv7), which are random.
ROLL_BITS = 32
_ROLL = (1 << ROLL_BITS) - 1
# How bad it is to send somebody there. A bot whose token was revoked can still be reached, and Telegram keeps what it is
# told for about a day; a banned one is a dead end; the name of a renamed one may by now be a stranger's.
_HARM: dict[BotHealth, int] = {"revoked": 1, "banned": 2, "renamed": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a pool that is asked for: a registered bot by its username, its share, its place in the order."""

    bot: str
    weight: int = 1
    priority: int = 1


class Dealer:
    """Chooses bots for visits. It holds the turns of round robin: each process takes its own, from the first bot on."""

    def __init__(self) -> None:
        self._turns: defaultdict[int, int] = defaultdict(int)

    def bot(self, link: Link, click_id: UUID) -> Bot:
        """As `choose`, for a link with at least one bot. Of the other strategies, a click id decides alone."""
        if len(link.pool) == 1:
            return link.pool[0].bot
        turn = 0
        if link.strategy == "round_robin":
            turn = self._turns[link.id]
            self._turns[link.id] = turn + 1
        return choose(link.pool, link.strategy, roll=click_id.int & _ROLL, turn=turn)


def choose(pool: Sequence[Member], strategy: Strategy, *, roll: int, turn: int) -> Bot:
    """A bot of a pool that is not empty. One that is not fit only when none is; then it is the one that does least harm.

    weighted: by weight, whatever the priorities. priority: by weight among the fit bots of the lowest priority number
    that has one. round_robin: in turn, whatever weights and priorities. roll: ROLL_BITS random bits.
    """
    fit = [member for member in pool if member.bot.fit]
    if not fit:
        return min(pool, key=_harm).bot
    if strategy == "round_robin":
        return fit[turn % len(fit)].bot
    if strategy == "priority":
        first = min(member.priority for member in fit)
        fit = [member for member in fit if member.priority == first]
    return _by_weight(fit, roll)


def _by_weight(members: Sequence[Member], roll: int) -> Bot:
    left = sum(member.weight for member in members) * roll >> ROLL_BITS
    for member in members:
        left -= member.weight
        if left < 0:
            return member.bot
    return members[-1].bot


def _harm(member: Member) -> tuple[int, int, int]:
    return _HARM.get(member.bot.health, len(_HARM) + 1), member.priority, -member.weight


def valid_weight(weight: int) -> int:
    """1 to 1000, or ConfigError."""
    if not 1 <= weight <= MAX_WEIGHT:
        raise ConfigError(f"not a weight: {weight}. Give 1 to {MAX_WEIGHT}")
    return weight


def valid_priority(priority: int) -> int:
    """1 to 100, or ConfigError. 1 comes first."""
    if not 1 <= priority <= MAX_PRIORITY:
        raise ConfigError(f"not a priority: {priority}. Give 1 (comes first) to {MAX_PRIORITY}")
    return priority
