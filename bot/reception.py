"""From a private message to what became of it and what to answer: the same for MTProto and for the webhook."""

from dataclasses import dataclass
from typing import Protocol

from bot.associate import Associate, StartAnswer, StartRequest
from bot.incoming import Incoming, Outgoing, Person
from bot.replies import reply_to
from domain.attribution import Start
from domain.errors import InvalidToken
from domain.links import Link


class Links(Protocol):
    """Finds the link that a token names."""

    def link_by_id(self, link_id: int) -> Link | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """A message that is a start. `start.id` names it, and its reply, for good. outgoing: the answer while no store was asked."""

    start: Start
    person: Person
    outgoing: Outgoing


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of a start, and the answer to it."""

    answer: StartAnswer
    outgoing: Outgoing


class Reception:
    """Redeems starts and words the answers; sends nothing."""

    def __init__(self, *, associate: Associate, links: Links) -> None:
        self._associate = associate
        self._links = links

    async def receive(self, incoming: Incoming) -> Received | None:
        """What became of a message, however often it comes; None for one that is no start.

        Raises StoreUnavailable when neither SQL nor the spool took it: try again.
        """
        recognised = self.recognise(incoming)
        return None if recognised is None else await self.redeem(recognised)

    def recognise(self, incoming: Incoming) -> Recognised | None:
        """The start that a message is, without asking any store; None for any other message.

        A payload that is no token of ours is another program's, or too old: the start is direct, and never an error.
        """
        request = StartRequest.from_text(
            incoming.text,
            bot=incoming.bot.username,
            telegram_id=incoming.person.telegram_id,
            update_id=incoming.message_id,
            sent_ms=incoming.sent_ms,
        )
        if request is None:
            return None
        try:
            start = self._associate.start_of(request)
        except InvalidToken:
            start = self._associate.start_of(request.without_token())
        outgoing = reply_to(incoming.person, self._link(start), None)
        return Recognised(start=start, person=incoming.person, outgoing=outgoing)

    async def redeem(self, recognised: Recognised) -> Received:
        """Bind it. Raises StoreUnavailable: try again."""
        answer = await self._associate.bind(recognised.start)
        ad = answer.click.ad if answer.click else None
        return Received(
            answer=answer,
            outgoing=reply_to(recognised.person, self._link(recognised.start), ad),
        )

    def _link(self, start: Start) -> Link | None:
        return self._links.link_by_id(start.click.link_id) if start.click else None
