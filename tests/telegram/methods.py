"""What can be asked of the server, and what it answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyrogram import raw
from pyrogram.raw.all import layer

from tests.telegram import tl
from tests.telegram.account import BotSide
from tests.telegram.faults import Flood
from tests.telegram.sent import sent

if TYPE_CHECKING:
    from tests.telegram.connection import Session
    from tests.telegram.server import LoopbackTelegram

log = logging.getLogger(__name__)

functions, types = raw.functions, raw.types

WRAPPERS = (
    functions.InvokeWithLayer,
    functions.InitConnection,
    functions.InvokeWithoutUpdates,
    functions.InvokeAfterMsg,
)


class Refusal(Exception):
    """An answer that is an error, with a code and a name that clients know."""

    def __init__(self, code: int, name: str) -> None:
        super().__init__(name)
        self.code = code
        self.name = name


class AnswerLost(Exception):
    """It was done, and nobody is told."""


class Methods:
    """Answers requests on behalf of a server."""

    def __init__(self, telegram: LoopbackTelegram) -> None:
        self._telegram = telegram
        self._open: dict[type, Callable[[Session, Any], Any]] = {
            functions.help.GetConfig: self._config,
            functions.auth.ImportBotAuthorization: self._log_in,
        }
        self._for_bots: dict[type, Callable[[BotSide, Any], Any]] = {
            functions.updates.GetState: lambda bot, _: tl.state(bot, telegram.now()),
            functions.updates.GetDifference: self._difference,
            functions.users.GetUsers: self._users,
            functions.users.GetFullUser: self._full_user,
            functions.messages.SendMessage: self._send,
            functions.messages.SendMedia: self._send,
            functions.messages.SetTyping: lambda *_: tl.true(),
        }

    def answer(self, session: Session, request: Any) -> Any:
        """The result, or the error. AnswerLost if there is to be none."""
        try:
            query = self._unwrapped(session, request)
            self._telegram.note_call(session.key.bot, type(query))
            return self._answer(session, query)
        except Refusal as refusal:
            return tl.error(refusal.code, refusal.name)

    def _unwrapped(self, session: Session, request: Any) -> Any:
        while isinstance(request, WRAPPERS):
            if isinstance(request, functions.InvokeWithLayer) and request.layer != layer:
                log.warning(
                    "a client of layer %d at a server of layer %d: run both on one library",
                    request.layer,
                    layer,
                )
                raise Refusal(400, "CONNECTION_LAYER_INVALID")
            if isinstance(request, functions.InitConnection):
                session.wants_updates = True
            if isinstance(request, functions.InvokeWithoutUpdates):
                session.wants_updates = False
            request = request.query
        return request

    def _answer(self, session: Session, query: Any) -> Any:
        bot = session.key.bot
        if bot and bot.banned:
            raise Refusal(401, "USER_DEACTIVATED_BAN")
        if answer := self._open.get(type(query)):
            return answer(session, query)
        if bot is None:
            raise Refusal(401, "AUTH_KEY_UNREGISTERED")
        if isinstance(query, functions.auth.LogOut):
            session.key.bot = None
            return tl.make(types.auth.LoggedOut)
        if for_bots := self._for_bots.get(type(query)):
            return for_bots(bot, query)
        raise Refusal(400, "METHOD_INVALID")

    def _config(self, session: Session, query: Any) -> Any:
        return tl.config(self._telegram.host, self._telegram.port, self._telegram.now())

    def _log_in(self, session: Session, query: Any) -> Any:
        bot = self._telegram.bot_of(query.bot_auth_token)
        if bot is None:
            raise Refusal(400, "ACCESS_TOKEN_INVALID")
        if query.bot_auth_token in bot.expired_tokens:
            raise Refusal(400, "ACCESS_TOKEN_EXPIRED")
        if bot.banned:
            raise Refusal(401, "USER_DEACTIVATED_BAN")
        _flooded(self._telegram.login_floods.get(bot))
        if bot.migrate_to is not None:
            dc, bot.migrate_to = bot.migrate_to, None
            raise Refusal(303, f"USER_MIGRATE_{dc}")
        session.key.bot = bot
        return tl.make(types.auth.Authorization, user=tl.own_user(bot))

    def _difference(self, bot: BotSide, query: Any) -> Any:
        telegram, now = self._telegram, self._telegram.now()
        found = bot.since(query.pts)
        if query.pts > bot.pts or len(found) > telegram.longest_difference:
            return types.updates.DifferenceTooLong(pts=bot.pts)
        whole = len(found) <= telegram.slice_size
        logged = found[: telegram.slice_size] + (bot.others_since(query.qts) if whole else [])
        if not logged:
            return types.updates.DifferenceEmpty(date=now, seq=0)
        updates = [entry.update for entry in logged]
        content = {
            "new_messages": [each.message for each in updates if isinstance(each, types.UpdateNewMessage)],
            "new_encrypted_messages": [],
            "other_updates": [each for each in updates if not isinstance(each, types.UpdateNewMessage)],
            "users": tl.users_in(bot, updates),
            "chats": tl.chats_in(bot, updates, now),
        }
        if whole:
            return types.updates.Difference(**content, state=tl.state(bot, now))
        return types.updates.DifferenceSlice(
            **content, intermediate_state=tl.state(bot, now, pts=logged[-1].at)
        )

    def _users(self, bot: BotSide, query: Any) -> Any:
        return tl.vector(self._user(bot, asked) for asked in query.id)

    def _user(self, bot: BotSide, asked: Any) -> Any:
        number = getattr(asked, "user_id", bot.id)
        if number == bot.id:
            return tl.own_user(bot)
        person = bot.people.get(number)
        return tl.user(person, bot) if person else types.UserEmpty(id=number)

    def _full_user(self, bot: BotSide, query: Any) -> Any:
        if getattr(query.id, "user_id", bot.id) != bot.id:
            raise Refusal(400, "USER_ID_INVALID")
        return tl.full_user(bot)

    def _send(self, bot: BotSide, query: Any) -> Any:
        _flooded(self._telegram.floods.get(bot))
        if (troubles := self._telegram.troubles.get(bot, 0)) > 0:
            self._telegram.troubles[bot] = troubles - 1
            raise Refusal(500, "RPC_CALL_FAIL")
        peer, chat_id = self._recipient(bot, query.peer)
        telegram = self._telegram
        if query.random_id in bot.random_ids:
            telegram.duplicates += 1
            raise Refusal(500, "RANDOM_ID_DUPLICATE")
        if isinstance(query, functions.messages.SendMessage) and not query.message:
            raise Refusal(400, "MESSAGE_EMPTY")
        bot.random_ids.add(query.random_id)
        number, now = telegram.next_message_id(), telegram.now()
        telegram.sent.append(sent(query, bot=bot, chat_id=chat_id, message_id=number, at=time.monotonic()))
        update = self._own_message(bot, query, peer, number, now)
        bot.log(update)
        if telegram.answers_to_lose:
            telegram.answers_to_lose -= 1
            raise AnswerLost
        return self._acceptance(bot, query, update, now)

    def _recipient(self, bot: BotSide, peer: Any) -> tuple[Any, int]:
        if isinstance(peer, types.InputPeerChat) and peer.chat_id in bot.groups:
            return types.PeerChat(chat_id=peer.chat_id), -peer.chat_id
        person = bot.people.get(getattr(peer, "user_id", 0))
        # A bot may say 0 for somebody whom it has met.
        if person is None or peer.access_hash not in (0, person.access_hash(bot.id)):
            raise Refusal(400, "PEER_ID_INVALID")
        if person.id in bot.blocked_by:
            raise Refusal(400, "USER_IS_BLOCKED")
        return types.PeerUser(user_id=person.id), person.id

    @staticmethod
    def _own_message(bot: BotSide, query: Any, peer: Any, number: int, now: int) -> Any:
        media = tl.media(getattr(query, "media", None), number, now)
        message = tl.message(
            number=number,
            peer=peer,
            sender=types.PeerUser(user_id=bot.id),
            text=query.message,
            now=now,
            out=True,
            media=media,
        )
        # Never an empty list: older readers and writers disagree on whether it is there.
        message.entities = query.entities or None
        return types.UpdateNewMessage(message=message, pts=0, pts_count=1)

    @staticmethod
    def _acceptance(bot: BotSide, query: Any, update: Any, now: int) -> Any:
        """Private texts are confirmed in short, as the real one does."""
        if tl.is_private_message(update) and isinstance(query, functions.messages.SendMessage):
            return tl.make(
                types.UpdateShortSentMessage,
                id=update.message.id,
                pts=update.pts,
                pts_count=1,
                date=now,
                out=True,
            )
        known = types.UpdateMessageID(id=update.message.id, random_id=query.random_id)
        accepted = tl.updates(bot, [update], now)
        accepted.updates.insert(0, known)
        return accepted


def _flooded(flood: Flood | None) -> None:
    if flood and flood.times > 0:
        flood.times -= 1
        raise Refusal(420, f"FLOOD_WAIT_{flood.seconds}")
