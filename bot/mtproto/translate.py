"""Pyrogram's raw updates and errors in our words.

Raw ones, because parsing them into Pyrogram's own types asks Telegram for more and keeps people in the session file.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyrogram import errors, raw

from bot.incoming import Blocking, Incoming, Person
from bot.line import Difference, Dismissed, Flooded, LineError, Refused, Unreachable, Update, Updates
from domain.accounts import UpdateState
from domain.links import Bot

MAX_TEXT = 4096
SERVER_TROUBLE = 500
SENT_ALREADY = "RANDOM_ID_DUPLICATE"
_BANNED = {"USER_DEACTIVATED", "USER_DEACTIVATED_BAN"}
_REVOKED = {"ACCESS_TOKEN_EXPIRED", "ACCESS_TOKEN_INVALID", "USER_BOT_REQUIRED"}
SESSION_GONE = {
    "AUTH_KEY_UNREGISTERED",
    "AUTH_KEY_INVALID",
    "AUTH_KEY_PERM_EMPTY",
    "AUTH_KEY_DUPLICATED",
    "SESSION_REVOKED",
    "SESSION_EXPIRED",
}
_MANY = (raw.types.Updates, raw.types.UpdatesCombined)
_SHORT = (raw.types.UpdateShortMessage, raw.types.UpdateShortChatMessage)
Users = Mapping[int, Any]


def updates_of(bot: Bot, pushed: Any) -> Updates:
    """What was pushed, or came with an answer. A short message lacks its sender: it has to be asked for."""
    if isinstance(pushed, _MANY):
        users = _by_id(pushed.users)
        found = tuple(_updates(bot, pushed.updates, users))
        return Updates(updates=found, date=pushed.date)
    if isinstance(pushed, raw.types.UpdateShort):
        return Updates(updates=tuple(_updates(bot, [pushed.update], {})), date=pushed.date)
    if isinstance(pushed, raw.types.UpdateShortSentMessage):
        sent = Update(sequence="pts", end=pushed.pts, count=pushed.pts_count)
        return Updates(updates=(sent,), date=pushed.date)
    behind = isinstance(pushed, (*_SHORT, raw.types.UpdatesTooLong))
    return Updates(behind=behind)


def difference_of(bot: Bot, answer: Any, since: UpdateState) -> Difference:
    """The answer to getDifference."""
    if isinstance(answer, raw.types.updates.DifferenceEmpty):
        return Difference(state=UpdateState(pts=since.pts, qts=since.qts, date=answer.date))
    if isinstance(answer, raw.types.updates.DifferenceTooLong):
        after = UpdateState(pts=answer.pts, qts=since.qts, date=since.date)
        return Difference(state=after, more=True, too_long=True)
    more = isinstance(answer, raw.types.updates.DifferenceSlice)
    state = answer.intermediate_state if more else answer.state
    users = _by_id(answer.users)
    messages = (_message(bot, message, users) for message in answer.new_messages)
    others = (update.says for update in _updates(bot, answer.other_updates, users))
    says = tuple(said for said in (*messages, *others) if said is not None)
    return Difference(says=says, state=state_of(state), more=more)


def state_of(state: Any) -> UpdateState:
    """Telegram's state."""
    return UpdateState(pts=state.pts, qts=state.qts, date=state.date)


def error_of(error: errors.RPCError) -> LineError:
    """A refusal of Telegram in our words."""
    if isinstance(error, errors.FloodWait):
        return Flooded(float(error.value))
    name = str(error.ID or type(error).__name__)
    if name in _BANNED:
        return Dismissed("banned")
    if name in _REVOKED or name in SESSION_GONE:
        return Dismissed("revoked")
    # 5xx is Telegram's own trouble, and passes; but one of them says that a message is there already.
    if (error.CODE or 0) >= SERVER_TROUBLE and name != SENT_ALREADY:
        return Unreachable(f"Telegram has trouble of its own: {name}")
    return Refused(name)


def _by_id(users: Iterable[Any]) -> Users:
    return {user.id: user for user in users}


def _updates(bot: Bot, updates: Iterable[Any], users: Users) -> Iterator[Update]:
    """Those that have a number in one of the bot's two sequences; channels have sequences of their own."""
    for update in updates:
        if isinstance(update, raw.types.UpdateBotStopped):
            yield Update(sequence="qts", end=update.qts, count=1, says=_blocking(bot, update))
        elif _is_numbered(update):
            new = isinstance(update, raw.types.UpdateNewMessage)
            says = _message(bot, update.message, users) if new else None
            yield Update(sequence="pts", end=update.pts, count=update.pts_count, says=says)
        elif getattr(update, "qts", None) is not None:
            yield Update(sequence="qts", end=update.qts, count=1)


def _is_numbered(update: Any) -> bool:
    channel = isinstance(getattr(getattr(update, "message", None), "peer_id", None), raw.types.PeerChannel)
    numbers = getattr(update, "pts", None), getattr(update, "pts_count", None)
    return None not in numbers and not channel and not hasattr(update, "channel_id")


def _message(bot: Bot, message: Any, users: Users) -> Incoming | None:
    """A text that a person has written to the bot in private; None for everything else."""
    private = isinstance(message, raw.types.Message) and isinstance(message.peer_id, raw.types.PeerUser)
    if not private or message.out or not message.message:
        return None
    sender = users.get(message.peer_id.user_id)
    if sender is not None and sender.bot:
        return None
    return Incoming(
        bot=bot,
        person=_person(message.peer_id.user_id, sender),
        message_id=message.id,
        text=message.message[:MAX_TEXT],
        sent_ms=message.date * 1000,
    )


def _person(telegram_id: int, user: Any) -> Person:
    return Person.told(
        telegram_id,
        first_name=getattr(user, "first_name", None),
        language=getattr(user, "lang_code", None),
        access_hash=getattr(user, "access_hash", None),
    )


def _blocking(bot: Bot, update: Any) -> Blocking:
    return Blocking(
        bot=bot, telegram_id=update.user_id, blocked=bool(update.stopped), at_ms=update.date * 1000
    )
