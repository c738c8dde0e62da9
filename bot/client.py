"""Trilha's client for bots written in Python with any library. One file: install it with Trilha, or copy it beside your bot.

It needs httpx2 and Python 3.11, and nothing else of Trilha.

    async with TrilhaClient("http://127.0.0.1:8081", key) as trilha:
        start = await trilha.try_start(
            bot="my_shop_bot", telegram_id=42, message_id=1001, token=token_from("/start EAAAAAAB…")
        )
        await trilha.try_conversion(
            bot="my_shop_bot", event="Purchase", telegram_id=42, order_id="1001", value="97.00", currency="BRL"
        )

What can go wrong, as a tree. No text of these holds a token, a key or a person's id.

ClientError
├── Unavailable            nothing answered in time, or a store that is needed is down; it was tried several times
├── Unauthorized           the API key is missing or wrong
└── Refused                Trilha will not take this however often it is sent; `code` says why
    └── InvalidToken       not a token of this installation, or one beyond the attribution window
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx2

T = TypeVar("T")
COMMAND = "/start"
# All that Telegram lets through in a deep link; what else there is was typed.
_PAYLOAD = re.compile(r"[A-Za-z0-9_-]{1,64}")
TIMEOUT_SECONDS = 10.0
# While SQL is away an answer takes about two and a half seconds.
ATTEMPT_SECONDS = 4.0
# Between attempts. A daemon that restarts is back within them.
PAUSES_SECONDS = (0.2, 1.0)


class ClientError(Exception):
    """Trilha could not do what was asked."""


class Unavailable(ClientError):
    """Nothing answered in time, or a store is down. A start sent again, now or later, with its message_id stays one start,
    and a conversion with its order_id one conversion.
    """


class Unauthorized(ClientError):
    """The API key is missing or wrong. `trilha keys api NAME` makes one."""


class Refused(ClientError):
    """Trilha will not take this. `code` is that of its HTTP reference."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class InvalidToken(Refused):
    """Not a token of this installation, or too old: another program's payload, as often as not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """The click behind a start. Also a mapping of Trilha's own field names: `click["class"]`, fields added later included.

    utm: the `utm_*` parameters of the ad's link; params: its others. geo, agent and scores are None and `traffic` is
    unknown until the click was settled, about a second after it happened.
    """

    id: str
    clicked_at: datetime
    utm: Mapping[str, str]
    params: Mapping[str, str]
    has_fbclid: bool
    traffic: str
    geo: Mapping[str, Any] | None
    agent: Mapping[str, Any] | None
    scores: Mapping[str, Any] | None
    raw: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        """A field as Trilha sent it. Raises KeyError."""
        return self.raw[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What became of a start.

    owner: this person owns the click, for good; with `deferred` it is False because nobody knows yet. click: only ever the
    owner's own, and None where it has not arrived. direct: no token was sent.
    """

    owner: bool
    click: Click | None
    state: Literal["settled", "deferred"]
    direct: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What became of a conversion: of its way to the pixel, or `deferred` while Trilha's SQL is away.

    new: no earlier report made it; with `deferred` it is False because nobody knows yet. ignored: fields that were of no
    use, such as an e-mail that is none.
    """

    event_id: str
    state: Literal["pending", "sent", "skipped", "rejected", "dead", "deferred"]
    reason: str | None
    new: bool
    click: str | None
    link: str | None
    pixel: str | None
    ignored: tuple[str, ...]


def is_start(text: object, *, bot: str | None = None) -> bool:
    """True for `/start`, `/start TOKEN` and `/start@bot TOKEN`; with `bot`, not for another bot's. Never raises."""
    return _start_words(text, bot) is not None


def token_from(text: object, *, bot: str | None = None) -> str | None:
    """The payload of `/start TOKEN` or `/start@bot TOKEN`; None for all else. Never raises, whatever it is given."""
    words = _start_words(text, bot)
    return words[1].strip() if words and len(words) > 1 else None


class TrilhaClient:
    """Asks Trilha's private API, from within one event loop.

    Every call ends within `timeout` seconds, all attempts included. on_failure hears why `try_start` or
    `try_conversion` gave None.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = TIMEOUT_SECONDS,
        on_failure: Callable[[ClientError], None] | None = None,
    ) -> None:
        self._http = httpx2.AsyncClient(
            base_url=base_url,
            headers={"authorization": f"Bearer {api_key}"},
            timeout=min(timeout, ATTEMPT_SECONDS),
            trust_env=False,  # no proxy of the environment comes between, and none hears the key
        )
        self._timeout = timeout
        self._on_failure = on_failure

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def start(self, *, bot: str, telegram_id: int, message_id: int, token: str | None = None) -> Start:
        """Redeem the payload of a start; None or empty: a direct start. Raises ClientError.

        `message_id` is Telegram's, of the message that held the start: a start sent again with it is the same start.
        """
        redeemed = _checked(token) if token else None
        body = {"bot": bot, "telegram_id": telegram_id, "token": redeemed, "update_id": message_id}
        found = await self._asked("POST", "/v1/starts", json.dumps(body).encode())
        return _read(_start_of, found)

    async def try_start(
        self, *, bot: str, telegram_id: int, message_id: int, token: str | None = None
    ) -> Start | None:
        """The same for a bot that greets in any case: raises no ClientError, and gives None where Trilha could not do it.

        A payload that is no token of Trilha's is noted as a direct start.
        """
        try:
            try:
                return await self.start(bot=bot, telegram_id=telegram_id, message_id=message_id, token=token)
            except InvalidToken:
                return await self.start(bot=bot, telegram_id=telegram_id, message_id=message_id)
        except ClientError as error:
            if self._on_failure is not None:
                self._on_failure(error)
            return None

    async def click(self, token: str) -> Click | None:
        """What is known of a click, None when no store has it. Raises ClientError.

        Its mapping also has what the stores say of it: link, ad, known_from, durability, visible, settled, owner.
        """
        try:
            found = await self._asked("GET", "/v1/clicks/" + _checked(token))
        except Refused as error:
            if error.code == "not_found":
                return None
            raise
        return _read(_click_of, found)

    async def conversion(
        self,
        *,
        bot: str,
        event: str,
        telegram_id: int | None = None,
        token: str | None = None,
        click_id: str | None = None,
        order_id: str | None = None,
        value: Decimal | float | str | None = None,
        currency: str | None = None,
        at: datetime | None = None,
        person: Mapping[str, str] | None = None,
        content: Mapping[str, Any] | None = None,
    ) -> Conversion:
        """Report a conversion; of telegram_id, token and click_id exactly one. Raises ClientError.

        With an order_id it may be sent as often as you like. at: an aware time, None: now. person: email, phone, first_name …;
        content: contents, content_name …, as Trilha's HTTP reference has them.
        """
        body: dict[str, Any] = {"bot": bot, "event": event, "telegram_id": telegram_id, "click_id": click_id}
        body |= {"token": None if token is None else _checked(token), "order_id": order_id}
        body |= {"value": str(value) if isinstance(value, Decimal) else value, "currency": currency}
        body |= {"at": None if at is None else at.isoformat(), **(person or {}), **(content or {})}
        found = await self._asked("POST", "/v1/conversions", json.dumps(body).encode())
        return _read(_conversion_of, found)

    async def try_conversion(
        self,
        *,
        bot: str,
        event: str,
        telegram_id: int | None = None,
        token: str | None = None,
        click_id: str | None = None,
        order_id: str | None = None,
        value: Decimal | float | str | None = None,
        currency: str | None = None,
        at: datetime | None = None,
        person: Mapping[str, str] | None = None,
        content: Mapping[str, Any] | None = None,
    ) -> Conversion | None:
        """The same for a bot that sells in any case: raises no ClientError, and gives None where Trilha could not do it."""
        try:
            return await self.conversion(
                bot=bot,
                event=event,
                telegram_id=telegram_id,
                token=token,
                click_id=click_id,
                order_id=order_id,
                value=value,
                currency=currency,
                at=at,
                person=person,
                content=content,
            )
        except ClientError as error:
            if self._on_failure is not None:
                self._on_failure(error)
            return None

    async def _asked(self, method: str, path: str, body: bytes | None = None) -> Any:
        try:
            async with asyncio.timeout(self._timeout):
                for pause in PAUSES_SECONDS:
                    try:
                        return await self._asked_once(method, path, body)
                    except Unavailable:
                        await asyncio.sleep(pause)
                return await self._asked_once(method, path, body)
        except TimeoutError:
            raise Unavailable("no answer in time") from None

    async def _asked_once(self, method: str, path: str, body: bytes | None) -> Any:
        try:
            answer = await self._http.request(method, path, content=body)
        except httpx2.HTTPError as error:
            raise Unavailable(type(error).__name__) from None
        if answer.status_code == 200:
            return _read(json.loads, answer.content)
        raise _error_of(answer)


def _start_words(text: object, bot: str | None) -> list[str] | None:
    """The command and what follows it, if it is a start. The payload comes in the same text as the command."""
    words = text.split(maxsplit=1) if isinstance(text, str) else []
    command, at, addressed = words[0].partition("@") if words else ("", "", "")
    elsewhere = bot is not None and at and addressed.lower() != bot.removeprefix("@").lower()
    return words if command == COMMAND and not elsewhere else None


def _checked(token: str) -> str:
    if not _PAYLOAD.fullmatch(token):
        raise InvalidToken("invalid_token")
    return token


def _error_of(answer: httpx2.Response) -> ClientError:
    if answer.status_code >= 500:
        return Unavailable(f"status {answer.status_code}")
    if answer.status_code == 401:
        return Unauthorized("the API key is missing or wrong")
    try:
        code = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        code = f"status_{answer.status_code}"
    return InvalidToken(code) if code == "invalid_token" else Refused(code)


def _read(reader: Callable[[Any], T], found: Any) -> T:
    """What was answered; a 200 that is not Trilha's is refused, not a crash."""
    try:
        return reader(found)
    except (ValueError, KeyError, TypeError):
        raise Refused("unknown_answer") from None


def _start_of(found: Mapping[str, Any]) -> Start:
    click = found["click"]
    return Start(
        owner=found["owner"],
        click=_click_of(click) if click is not None else None,
        state=found["state"],
        direct=found["direct"],
    )


def _conversion_of(found: Mapping[str, Any]) -> Conversion:
    return Conversion(
        event_id=found["event_id"],
        state=found["state"],
        reason=found["reason"],
        new=found["new"],
        click=found["click"],
        link=found["link"],
        pixel=found["pixel"],
        ignored=tuple(found["ignored"]),
    )


def _click_of(found: Mapping[str, Any]) -> Click:
    return Click(
        id=found["id"],
        clicked_at=datetime.fromisoformat(found["clicked_at"]),
        utm=found["utm"],
        params=found["params"],
        has_fbclid=found["has_fbclid"],
        traffic=found["class"],
        geo=found["geo"],
        agent=found["agent"],
        scores=found["scores"],
        raw=found,
    )
