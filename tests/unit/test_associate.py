"""The use case behind START: what is refused is refused before any store is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from analytics.inspect import Inspect
from bot.associate import Associate, StartRequest
from bot.reception import Reception
from daemon.api import Api, Health
from daemon.client_ip import ClientIp
from daemon.gate import Gate
from daemon.telegram_webhook import TelegramWebhook
from delivery.report import Report
from domain.attribution import Owner, Start
from domain.click import Ad, Click
from domain.clock import ManualClock
from domain.conversions import Conversion, Reported
from domain.errors import InvalidToken, StoreUnavailable, UnknownBot
from domain.ids import ClickIds
from domain.links import Bot, Link
from domain.observations import Silent
from domain.outcomes import MISSING, Durability, LedgerRow, Lookup
from privacy.api_keys import ApiKeys, make_api_key
from privacy.keyring import Keyring
from privacy.token import Minter

ANA = Bot(id=1, username="ana_bot")


class Stores:
    """A ledger, a spool and a chain in memory that write down every question they are asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.rows: dict[UUID, LedgerRow] = {}
        self.spooled: list[Start] = []
        self.ledger_down = False
        self.spool_down = False

    async def find_unsettled(self, click_id: UUID) -> Click | None:
        self.asked.append("find_unsettled")
        return None

    async def where(self, click_id: UUID) -> dict[str, Lookup]:
        self.asked.append("where")
        return {"disk": MISSING, "sql": MISSING}

    async def ad(self, link_id: int, ad_key: bytes) -> Ad | None:
        self.asked.append("ad")
        return None

    async def row(self, click_id: UUID) -> LedgerRow | None:
        self.asked.append("row")
        return self.rows.get(click_id)

    async def record_start(self, start: Start, click: Click | None) -> LedgerRow | None:
        self.asked.append("record_start")
        if self.ledger_down:
            raise StoreUnavailable("down")
        if start.click is None:
            return None
        new = LedgerRow(
            click=click,
            owner=start.owner,
            started_at_ms=start.at_ms,
            link_id=start.click.link_id,
            ad_key=start.click.ad_key,
            spooled=False,
        )
        return self.rows.setdefault(start.click.id, new)

    async def record_conversion(self, conversion: Conversion, *, too_old: bool = False) -> Reported | None:
        self.asked.append("record_conversion")
        return None

    async def put_conversion(self, conversion: Conversion) -> None:
        self.asked.append("put_conversion")

    async def note_block(self, owner: Owner, *, blocked: bool, at_ms: int) -> None:
        self.asked.append("note_block")

    async def settle(self, clicks, starts, books) -> None:
        self.asked.append("settle")

    async def put_start(self, start: Start) -> None:
        self.asked.append("put_start")
        if self.spool_down:
            raise StoreUnavailable("down")
        self.spooled.append(start)


class Names:
    """One bot, one link."""

    def bot(self, username: str) -> Bot | None:
        return ANA if username == ANA.username else None

    def link_by_id(self, link_id: int) -> Link | None:
        return None

    def bot_name(self, bot_id: int) -> str | None:
        return ANA.username


NOBODY: Any = None  # none of these tests asks it


async def no_metrics() -> bytes:
    return b""


class Room:
    """The use case and the API over stores that write down what they are asked."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.stores = Stores()
        ring = Keyring.create(folder / "ring.json", self.clock)
        self.minter = Minter(ring, self.clock, node=0, attribution_days=28)
        self.associate = Associate(
            minter=self.minter,
            bots=Names(),
            unsettled=self.stores,
            ledger=self.stores,
            spool=self.stores,
            clock=self.clock,
            observer=Silent(),
        )
        self.key = make_api_key(folder / "keys", "tests")
        self.api = Api(
            associate=self.associate,
            report=Report(
                minter=self.minter,
                external_id=ring.external_id,
                names=Names(),
                unsettled=self.stores,
                ledger=self.stores,
                spool=self.stores,
                phone_country="55",
                clock=self.clock,
                observer=Silent(),
            ),
            inspect=Inspect(
                minter=self.minter,
                locator=self.stores,
                ledger=self.stores,
                links=Names(),
                ads=self.stores,
                spool_durability=Durability.SYNCED,
            ),
            explain=NOBODY,
            bot_name=Names().bot_name,
            gate=Gate(
                keys=ApiKeys(folder / "keys"),
                client_ip=ClientIp([]),
                rate=1000.0,
                clock=self.clock,
                observer=Silent(),
            ),
            health=Health(
                catalog_loaded=lambda: True,
                catalog_checked_ms=lambda: None,
                tiers=dict,
                ring_waiting=lambda: 0,
            ),
            metrics=no_metrics,
            webhook=TelegramWebhook(
                bots=Names(),
                reception=Reception(associate=self.associate, links=Names()),
                blocks=self.stores,
                clock=self.clock,
            ),
        )

    def token(self) -> str:
        return self.minter.mint(ClickIds().new(self.clock.now_ms()), 1, b"12345678").text

    async def start(self, token: str | None, telegram_id: int = 7, bot: str = ANA.username):
        return await self.associate.start(StartRequest(bot=bot, telegram_id=telegram_id, token=token))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def bad_tokens(room: Room) -> list[str]:
    good = room.token()
    flipped = [good[:at] + ("B" if good[at] != "B" else "C") + good[at + 1 :] for at in range(62)]
    old = room.token()
    room.clock.advance(28 * 86_400 + 1)
    return [*flipped, old, "A" * 62, good[:61], good + "=", good + "A", " " + good, "x", "None", "é" * 62]


async def test_a_forged_altered_or_expired_token_is_refused_without_asking_any_store(room: Room) -> None:
    for token in bad_tokens(room):
        with pytest.raises(InvalidToken):
            await room.start(token)
    assert room.stores.asked == []


async def test_the_api_answers_422_to_bad_tokens_without_asking_any_store(room: Room) -> None:
    transport = httpx2.ASGITransport(app=room.api.app())
    headers = {"authorization": f"Bearer {room.key}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
        for token in bad_tokens(room):
            body = {"bot": ANA.username, "telegram_id": 7, "token": token}
            assert (await client.post("/v1/starts", json=body)).status_code == 422
            sold = {"bot": ANA.username, "event": "Lead", "token": token}
            assert (await client.post("/v1/conversions", json=sold)).status_code == 422
            assert (await client.get(f"/v1/clicks/{token}")).status_code == 422
    assert room.stores.asked == []


async def test_without_a_key_no_store_is_asked_either(room: Room) -> None:
    transport = httpx2.ASGITransport(app=room.api.app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        body = {"bot": ANA.username, "telegram_id": 7, "token": room.token()}
        assert (await client.post("/v1/starts", json=body)).status_code == 401
        assert (await client.get(f"/v1/clicks/{room.token()}")).status_code == 401
    assert room.stores.asked == []


async def test_an_unknown_bot_is_refused_without_asking_any_store(room: Room) -> None:
    with pytest.raises(UnknownBot):
        await room.start(room.token(), bot="other_bot")
    assert room.stores.asked == []


async def test_the_first_person_owns_the_click_and_the_second_is_told_nothing_of_it(room: Room) -> None:
    token = room.token()
    assert (await room.start(token, 7)).owner
    second = await room.start(token, 8)
    assert (second.owner, second.click) == (False, None)
    assert (await room.start(token, 7)).owner


async def test_with_the_ledger_down_the_start_is_kept_and_nobody_is_called_owner(room: Room) -> None:
    room.stores.ledger_down = True
    answer = await room.start(room.token())
    assert (answer.owner, answer.state) == (False, "deferred")
    assert len(room.stores.spooled) == 1


async def test_with_nowhere_to_keep_the_start_the_caller_is_told_to_try_again(room: Room) -> None:
    room.stores.ledger_down = room.stores.spool_down = True
    with pytest.raises(StoreUnavailable):
        await room.start(room.token())


async def test_a_ledger_that_never_answers_is_left_and_the_start_kept(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(start: Start, click: Click | None) -> LedgerRow | None:
        await asyncio.Event().wait()
        return None

    monkeypatch.setattr(room.stores, "record_start", hang)
    monkeypatch.setattr("bot.associate.LEDGER_SECONDS", 0.01)
    assert (await room.start(room.token())).state == "deferred"


async def test_repeats_of_one_update_or_of_one_person_and_token_are_one_start(room: Room) -> None:
    room.stores.ledger_down = True
    token = room.token()
    for update in (5, 5, None, None):
        request = StartRequest(bot=ANA.username, telegram_id=7, token=token, update_id=update)
        await room.associate.start(request)
    assert len({start.id for start in room.stores.spooled}) == 2


@pytest.mark.parametrize("token", [None, ""])
async def test_a_start_without_a_token_is_direct(room: Room, token: str | None) -> None:
    answer = await room.start(token)
    assert (answer.direct, answer.owner, answer.state) == (True, False, "settled")


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("/start", None),
        ("/start ", None),
        ("/start abc", "abc"),
        ("/start   abc  ", "abc"),
        ("/start@ana_bot abc", "abc"),
        ("/start@ANA_BOT abc", "abc"),
        (" /start abc", "abc"),
        ("/start\nabc", "abc"),
    ],
)
def test_a_start_message_is_read_with_or_without_its_payload(text: str, token: str | None) -> None:
    asked = StartRequest.from_text(text, bot="ana_bot", telegram_id=7, update_id=1)
    assert asked is not None
    assert (asked.token, asked.bot, asked.telegram_id) == (token, "ana_bot", 7)


@pytest.mark.parametrize(
    "text", ["", "start abc", "/started abc", "/start@other_bot abc", "hi /start abc", "/start@"]
)
def test_another_text_is_no_start(text: str) -> None:
    assert StartRequest.from_text(text, bot="ana_bot", telegram_id=7, update_id=1) is None
