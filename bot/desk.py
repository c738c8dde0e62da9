"""What one thing that a person has said leads to: a start is bound and answered, a block is noted."""

import asyncio
from contextlib import suppress
from typing import Protocol
from uuid import UUID

from bot.associate import moment
from bot.incoming import Blocking, Incoming
from bot.reception import Received, Reception, Recognised
from bot.replier import FIRST_WAIT, LONGEST_WAIT, Replier
from domain.attribution import Owner
from domain.clock import Clock
from domain.errors import StoreError, StoreUnavailable
from domain.ports import People
from runtime.lifecycle import longer_waits

STARTS_AT_ONCE = 64
DISCARD_SECONDS = 0.25
BLOCKED = "USER_IS_BLOCKED"


class Copies(Protocol):
    """Where a copy of a click is of no more use once SQL has it and its owner."""

    async def discard(self, click_id: UUID) -> None: ...


class Desk:
    """Deals with what is said to one bot, over one line."""

    def __init__(
        self,
        *,
        reception: Reception,
        replier: Replier,
        people: People,
        copies: Copies | None,
        clock: Clock,
    ) -> None:
        self._reception = reception
        self._replier = replier
        self._people = people
        self._copies = copies
        self._clock = clock
        self._places = asyncio.Semaphore(STARTS_AT_ONCE)

    async def handle(self, said: Incoming | Blocking, again: bool) -> None:  # noqa: FBT001  a Handle
        """Returns once it is dealt with, however long the stores are down. Raises Dismissed."""
        if isinstance(said, Blocking):
            owner = Owner(bot_id=said.bot.id, telegram_id=said.telegram_id)
            at_ms = moment(said.at_ms, self._clock.now_ms())
            await self._note_block(owner, blocked=said.blocked, at_ms=at_ms)
            return
        recognised = self._reception.recognise(said)
        if recognised is not None:
            await self._start(recognised, again=again)

    async def _start(self, recognised: Recognised, *, again: bool) -> None:
        """Bind, then answer. When nothing can keep the start, the person does not wait for that."""
        began, start = self._clock.monotonic(), recognised.start
        received = await self._redeemed(recognised)
        refused = None
        if not (again and await self._was_answered(start.id)):
            outgoing = (received or recognised).outgoing
            refused = await self._replier.answer(recognised.person, outgoing, start.id, began=began)
        await self._let_go_of_copies(received or await self._redeemed_at_last(recognised))
        if refused is not None and refused.name == BLOCKED:
            # The block itself may have come before anything was known of the person.
            await self._note_block(start.owner, blocked=True, at_ms=self._clock.now_ms())

    async def _redeemed(self, recognised: Recognised) -> Received | None:
        try:
            async with self._places:
                return await self._reception.redeem(recognised)
        except StoreUnavailable:
            return None

    async def _redeemed_at_last(self, recognised: Recognised) -> Received:
        waits = longer_waits(FIRST_WAIT, LONGEST_WAIT)
        while True:
            await asyncio.sleep(next(waits))
            if (received := await self._redeemed(recognised)) is not None:
                return received

    async def _was_answered(self, start_id: UUID) -> bool:
        try:
            return bool(await self._people.replied([start_id]))
        except StoreError:
            return False  # Telegram does not take the same answer twice

    async def _let_go_of_copies(self, received: Received) -> None:
        """Only of a click that SQL has, with its owner: the copy in Redis was for this moment."""
        answer = received.answer
        if answer.owner and answer.click is not None and self._copies is not None:
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(DISCARD_SECONDS):
                    await self._copies.discard(answer.click.id)

    async def _note_block(self, owner: Owner, *, blocked: bool, at_ms: int) -> None:
        for wait in longer_waits(FIRST_WAIT, LONGEST_WAIT):
            try:
                await self._people.note_block(owner, blocked=blocked, at_ms=at_ms)
            except StoreError:
                await asyncio.sleep(wait)
            else:
                return
