"""One client's connection: packets in, answers and pushes out."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any

from pyrogram import raw

from tests.telegram import framing, tl, wire
from tests.telegram.account import BotSide
from tests.telegram.handshake import Handshake
from tests.telegram.methods import AnswerLost
from tests.telegram.wire import AuthKey, Incoming, Speaker

if TYPE_CHECKING:
    from tests.telegram.server import LoopbackTelegram

log = logging.getLogger(__name__)

UNKNOWN_KEY = (-404).to_bytes(4, "little", signed=True)
# Said by clients without a wish for an answer.
NOTES = (raw.types.MsgsAck, raw.types.HttpWait)


class Session:
    """What a client calls a session, as far as it is on this connection."""

    def __init__(self, key: AuthKey, session_id: bytes) -> None:
        self.key = key
        self.speaker = Speaker(key, session_id)
        self.wants_updates = False


class Connection:
    """Reads one socket until it ends."""

    def __init__(self, telegram: LoopbackTelegram, accepted: socket.socket) -> None:
        self._telegram = telegram
        self._socket = accepted
        # asyncio does it only for sockets that it has made: a push would wait for the acknowledgement of the answer before.
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._framing: framing.Framing = framing.Abridged()
        self._transport: asyncio.WriteTransport | None = None
        self._handshake = Handshake(telegram.key, telegram.keep_key)
        self._session: Session | None = None

    async def run(self) -> None:
        """Until the client leaves, is thrown out or says something that no client says."""
        try:
            reader, writer = await asyncio.open_connection(sock=self._socket)
            self._transport = writer.transport
            self._framing = await framing.chosen(reader)
            while True:
                self._received(await self._framing.read(reader))
        except (asyncio.IncompleteReadError, OSError):
            pass
        except ValueError as problem:
            log.warning("connection closed: %s", problem)
        finally:
            self.close()

    def close(self) -> None:
        """At once, without a goodbye."""
        if self._transport is None:
            self._socket.close()
        else:
            self._transport.abort()

    def serves(self, bot: BotSide) -> bool:
        """Whether a client of this bot wants updates here."""
        session = self._session
        wanted = session is not None and session.wants_updates and session.key.bot is bot
        return wanted and not bot.banned

    def push(self, updates: Any) -> None:
        """Tell the client something that it did not ask for."""
        if self._session:
            speaker, salt = self._session.speaker, self._telegram.salt
            self._write(lambda: speaker.pack(updates, salt=salt, reply=False, content=True))

    def _received(self, packet: bytes) -> None:
        if self._telegram.frozen:
            return
        if packet[:8] == wire.NO_KEY:
            if answer := self._handshake.answer(wire.unpack_plain(packet)):
                self._later(lambda: wire.pack_plain(answer))
        elif key := self._telegram.key_of(packet[:8]):
            self._understand(wire.unpack(packet, key), key)
        else:
            self._later(lambda: UNKNOWN_KEY)
        self._telegram.changed()

    def _understand(self, packet: wire.Packet, key: AuthKey) -> None:
        session = self._session_of(packet, key)
        if packet.salt != self._telegram.salt:
            bad = raw.types.BadServerSalt(
                bad_msg_id=packet.msg_id, bad_msg_seqno=0, error_code=48, new_server_salt=self._telegram.salt
            )
            self._say(session, bad, content=False)
            return
        for message in packet.messages:
            self._answer(session, message)

    def _session_of(self, packet: wire.Packet, key: AuthKey) -> Session:
        """A new one on a connection's first packet: clients open a connection per session."""
        if self._session is None or self._session.speaker.session_id != packet.session_id:
            self._session = Session(key, packet.session_id)
        return self._session

    def _answer(self, session: Session, message: Incoming) -> None:
        body = message.body
        if isinstance(body, NOTES):
            return
        if isinstance(body, (raw.functions.Ping, raw.functions.PingDelayDisconnect)):
            pong = raw.types.Pong(msg_id=message.msg_id, ping_id=body.ping_id)
            self._say(session, pong, content=False)
            return
        try:
            result = self._result(session, body)
        except AnswerLost:
            return
        answer = raw.types.RpcResult(req_msg_id=message.msg_id, result=wire.packed(result))
        self._say(session, answer, content=True)

    def _result(self, session: Session, body: Any | None) -> Any:
        if body is None:
            return tl.error(400, "METHOD_INVALID")
        return self._telegram.methods.answer(session, body)

    def _say(self, session: Session, body: Any, *, content: bool) -> None:
        # Packed when it leaves, so that message ids rise in the order in which they are read.
        self._later(lambda: session.speaker.pack(body, salt=self._telegram.salt, reply=True, content=content))

    def _later(self, packed: Any) -> None:
        if self._telegram.answer_delay:
            asyncio.get_running_loop().call_later(self._telegram.answer_delay, self._write, packed)
        else:
            self._write(packed)

    def _write(self, packed: Any) -> None:
        if self._transport and not self._transport.is_closing() and not self._telegram.frozen:
            self._transport.write(self._framing.frame(packed()))
