"""Bot tokens and Telegram's api_hash: sealed in SQL (privacy/secret_box.py), or in files that only their owner may read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from domain.errors import ConfigError
from domain.links import Bot, valid_username
from privacy.keyring import Keyring
from privacy.secret_box import open_secret, seal_secret
from privacy.secret_file import private_text

TokenSource = Literal["file", "sealed", "unreadable", "none"]
# A Telegram id, a colon and a secret, which has 35 characters today. Telegram promises no length.
_TOKEN = re.compile(r"[1-9][0-9]{4,15}:[A-Za-z0-9_-]{30,64}")
_API_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldToken:
    """A bot's token and where it is from. None: there is none, or no key of ours opens it (`unreadable`)."""

    source: TokenSource
    token: str | None = field(default=None, repr=False)


class BotTokens:
    """Seals tokens, and finds a bot's: a line of the tokens file goes before what is sealed in SQL."""

    def __init__(self, keyring: Keyring, in_file: Mapping[str, str] | None = None) -> None:
        self._keyring = keyring
        self._in_file = in_file or {}

    def seal(self, token: str, bot_id: int) -> bytes:
        """The token as SQL may have it."""
        return seal_secret(token, self._keyring.bot_token_key(), _said(bot_id))

    def of(self, bot: Bot, sealed: bytes | None) -> HeldToken:
        """The token that the bot is run with; `sealed` is what SQL has for it."""
        if (text := self._in_file.get(bot.username.lower())) is not None:
            return HeldToken(source="file", token=text)
        if sealed is None:
            return HeldToken(source="none")
        text = open_secret(sealed, self._keyring.bot_token_key(), _said(bot.id))
        return HeldToken(source="unreadable" if text is None else "sealed", token=text)


def _said(bot_id: int) -> str:
    return f"trilha bot token {bot_id}"


def valid_token(text: str) -> str:
    """A bot's token as BotFather gives it, or ConfigError, which does not show what was given."""
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise ConfigError(
            "this is no bot token. BotFather writes it as digits, a colon and about 35 characters"
        )
    return token


def telegram_id_of(token: str) -> int:
    """The bot's own Telegram id, which its token begins with."""
    return int(token.partition(":")[0])


def read_bot_tokens(path: Path | None) -> dict[str, str]:
    """Tokens by username in lower case, of a file with a line `USERNAME TOKEN` for each bot; `#` begins a comment.

    Nothing for no path. ConfigError names the line that is wrong, and shows none.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        words = line.partition("#")[0].split()
        if words:
            username, token = _pair(words, f"{path}, line {number}")
            if username in found:
                raise ConfigError(f"{path}, line {number}: this bot has a token above already")
            found[username] = token
    return found


def _lines(path: Path | None) -> list[str]:
    return [] if path is None else private_text(path, "the file of bot tokens").splitlines()


def _pair(words: list[str], place: str) -> tuple[str, str]:
    # The words are not shown: a token may stand where the username should.
    try:
        username, token = words
        return valid_username(username).lower(), valid_token(token)
    except (ValueError, ConfigError):
        raise ConfigError(f"{place}: write USERNAME TOKEN") from None


def read_api_hash(path: Path) -> str:
    """The api_hash of my.telegram.org, from its file; ConfigError, which does not show what is there."""
    text = private_text(path, "the file of Telegram's api_hash").strip()
    if not _API_HASH.fullmatch(text):
        raise ConfigError(
            f"{path} holds no api_hash: my.telegram.org shows it as 32 characters of 0-9 and a-f"
        )
    return text
