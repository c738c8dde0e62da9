"""One bot's session with Telegram, by Pyrogram.

Pyrogram does what it is good at: keys, encryption, connections and their repair. It does not keep count of updates
here: it writes an update's number down before anything has been done with it, and after a reconnect it skips what was
sent meanwhile (docs/adr/0019). So its updates go straight to us, and nothing of them into its session file.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyrogram
from pyrogram import errors, raw
from pyrogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from bot.incoming import Outgoing, Person
from bot.line import Difference, Dismissed, Me, OnUpdates, Refused, Unreachable
from bot.mtproto import fast_aes, lost_key
from bot.mtproto.server import accepts
from bot.mtproto.translate import SENT_ALREADY, SESSION_GONE, difference_of, error_of, state_of, updates_of
from domain.accounts import UpdateState
from domain.links import Bot
from privacy.bot_tokens import telegram_id_of

OPEN_SECONDS = 20.0
CALL_SECONDS = 10.0
ASK_SECONDS = 3.0
CLOSE_SECONDS = 3.0
# Of a picture that Telegram cannot fetch: the person gets the text all the same.
_NO_PICTURE = ("WEBPAGE", "MEDIA", "EXTERNAL_URL", "PHOTO", "IMAGE", "FILE")


class _Client(pyrogram.Client):  # type: ignore[misc]  # untyped to us
    """A client whose updates are ours."""

    on_pushed: Any = None

    async def handle_updates(self, updates: Any) -> None:
        """Called by the session for each push."""
        if self.on_pushed is not None:
            self.on_pushed(updates)

    async def recover_gaps(self, ids: Any = None) -> tuple[int, int]:  # noqa: ARG002  Pyrogram's signature
        """Called by Pyrogram at its start: bot/intake.py asks for what was missed."""
        return 0, 0


class MtprotoLine:
    """A Line. `token` may be None when the session file `session` is logged in already."""

    def __init__(
        self,
        *,
        bot: Bot,
        token: str | None,
        session: Path,
        api: tuple[int, str],
        options: Mapping[str, Any],
    ) -> None:
        self._bot = bot
        self._token = token
        self._session = session
        self._api = api
        self._options = options
        self._client: Any = None
        self._on_updates: OnUpdates = lambda _updates: None
        fast_aes.install()
        lost_key.install()

    async def open(self, on_updates: OnUpdates) -> Me:
        """Log in, by the session file or by the token; who the bot is.

        A session that Telegram has ended, or that is another account's than the token's, is begun anew.
        """
        self._on_updates = on_updates
        with suppress(_SessionEnded):
            me = await self._open()
            if self._token is None or telegram_id_of(self._token) == me.telegram_id:
                return me
        await self.close()
        self._session.unlink(missing_ok=True)
        try:
            return await self._open()
        except _SessionEnded:
            raise Dismissed("revoked") from None

    async def close(self) -> None:
        """End the session with Telegram, in time whatever it does."""
        client, self._client = self._client, None
        if client is None:
            return
        client.on_pushed = None
        with suppress(Exception):  # a client that cannot be stopped is let go of
            async with asyncio.timeout(CLOSE_SECONDS):
                await client.stop()
            return
        with suppress(Exception):
            await client.session.connection.close()

    async def me(self) -> Me:
        """Who the bot is now."""
        (user,) = await self._call(raw.functions.users.GetUsers(id=[raw.types.InputUserSelf()]), ASK_SECONDS)
        return Me(telegram_id=user.id, username=_username(user))

    async def state(self) -> UpdateState:
        """How far Telegram has counted."""
        return state_of(await self._call(raw.functions.updates.GetState(), ASK_SECONDS))

    async def difference(self, since: UpdateState) -> Difference:
        """What has happened since."""
        asked = raw.functions.updates.GetDifference(pts=since.pts, date=since.date, qts=since.qts)
        return difference_of(self._bot, await self._call(asked), since)

    async def send(self, person: Person, outgoing: Outgoing, *, reply_id: int) -> None:
        """Answer a person, once for each `reply_id`."""
        try:
            await self._send(person, outgoing, reply_id)
        except Refused as error:
            if outgoing.photo_url is None or not error.name.startswith(_NO_PICTURE):
                raise
            await self._send(person, Outgoing(text=outgoing.text, buttons=outgoing.buttons), reply_id)

    async def _send(self, person: Person, outgoing: Outgoing, reply_id: int) -> None:
        said: dict[str, Any] = {
            "peer": raw.types.InputPeerUser(user_id=person.telegram_id, access_hash=person.access_hash),
            "message": outgoing.text,
            "random_id": reply_id,
            "reply_markup": await self._markup(outgoing),
        }
        if outgoing.photo_url is None:
            query = raw.functions.messages.SendMessage(**said)
        else:
            media = raw.types.InputMediaPhotoExternal(url=outgoing.photo_url)
            query = raw.functions.messages.SendMedia(media=media, **said)
        try:
            answer = await self._call(query)
        except Refused as error:
            if error.name == SENT_ALREADY:
                return
            raise
        # What is sent is counted in the bot's sequence too.
        self._on_updates(updates_of(self._bot, answer))

    async def _markup(self, outgoing: Outgoing) -> Any:
        if not outgoing.buttons:
            return None
        rows = [[InlineKeyboardButton(text=button.text, url=button.url)] for button in outgoing.buttons]
        return await InlineKeyboardMarkup(rows).write(self._client)

    async def _open(self) -> Me:
        client = self._client = self._make()
        client.on_pushed = self._pushed
        with _our_errors():
            async with asyncio.timeout(OPEN_SECONDS):
                await lost_key.watched(client.start())
        return await self.me()

    def _make(self) -> _Client:
        api_id, api_hash = self._api
        options = dict(self._options)
        if accepts("skip_updates"):
            options["skip_updates"] = False
        return _Client(
            name=self._session.stem,
            workdir=self._session.parent if accepts("connection_factory") else str(self._session.parent),
            api_id=api_id,
            api_hash=api_hash,
            # Without one Pyrogram would ask on the terminal.
            bot_token=self._token or "0:none",
            workers=1,
            sleep_threshold=0,
            **options,
        )

    def _pushed(self, updates: Any) -> None:
        self._on_updates(updates_of(self._bot, updates))

    async def _call(self, query: Any, seconds: float = CALL_SECONDS) -> Any:
        """The answer, once. Pyrogram's own `invoke` would try again by itself, and hide what Telegram has said."""
        client = self._client
        if client is None:
            raise Unreachable("not connected")
        with _our_errors():
            async with asyncio.timeout(seconds):
                await client.session.is_started.wait()
                return await client.session.send(query, timeout=seconds)


class _SessionEnded(Unreachable):
    """Telegram no longer knows the session; the token may still be good."""


@contextmanager
def _our_errors() -> Iterator[None]:
    """What Pyrogram raises, in our words."""
    try:
        yield
    except errors.RPCError as error:
        if error.ID in SESSION_GONE:
            raise _SessionEnded(str(error.ID)) from None
        raise error_of(error) from None
    except lost_key.KeyLost:
        raise _SessionEnded("Telegram no longer has the session's key") from None
    except (OSError, TimeoutError) as error:
        raise Unreachable(f"Telegram cannot be reached: {type(error).__name__}") from None


def _username(user: Any) -> str:
    """Its name; the first active one of those who have several."""
    several = [name.username for name in getattr(user, "usernames", None) or () if name.active]
    return user.username or next(iter(several), "")
