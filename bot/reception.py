"""From a private message to what became of it and what to answer: the same for MTProto and for the webhook."""

from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from bot.associate import Associate, StartAnswer, StartRequest
from bot.incoming import Incoming, Outgoing
from bot.replies import reply_to
from domain.errors import InvalidToken
from domain.links import Link

Recognised = Literal["token", "direct", "garbage"]


class Links(Protocol):
    """Finds the link that a token names."""

    def link_by_id(self, link_id: int) -> Link | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What a start was recognised as, what became of it, and the answer to it. `start_id` names its reply for good."""

    start_id: UUID
    recognised: Recognised
    answer: StartAnswer
    outgoing: Outgoing


class Reception:
    """Redeems starts and words the answers; sends nothing."""

    def __init__(self, *, associate: Associate, links: Links) -> None:
        self._associate = associate
        self._links = links

    async def receive(self, incoming: Incoming) -> Received | None:
        """What became of a message, however often it comes; None for one that is no start.

        A payload that is no token of ours is another program's, or too old: the start is direct, and never an error.
        Raises StoreUnavailable when neither SQL nor the spool took it: try again.
        """
        request = StartRequest.from_text(
            incoming.text,
            bot=incoming.bot.username,
            telegram_id=incoming.person.telegram_id,
            update_id=incoming.message_id,
        )
        if request is None:
            return None
        recognised: Recognised = "token" if request.token else "direct"
        try:
            answer = await self._associate.start(request)
        except InvalidToken:
            recognised, answer = "garbage", await self._associate.start(request.without_token())
        return Received(
            start_id=answer.start.id,
            recognised=recognised,
            answer=answer,
            outgoing=self._words(incoming, answer),
        )

    def _words(self, incoming: Incoming, answer: StartAnswer) -> Outgoing:
        link = self._links.link_by_id(answer.start.click.link_id) if answer.start.click else None
        return reply_to(incoming.person, link, answer.click.ad if answer.click else None)
