"""The client against the real daemon, over sockets that fail as networks do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from backends.sql.schema import outbox, starts
from bot.client import (
    Click,
    ClientError,
    Conversion,
    InvalidToken,
    Refused,
    Start,
    TrilhaClient,
    Unauthorized,
    Unavailable,
    is_start,
    token_from,
)
from chaos.servers import HOST, free_port
from domain.ids import ClickIds, uuid7_ms
from tests.daemon_fixture import BOT, SLUG, Door, Site, captured_logs

FOREIGN = "A" * 62
DIRECT = Start(owner=False, click=None, state="settled", direct=True)


def url(site: Site) -> str:
    return f"http://{site.settings.private_bind}"


@pytest_asyncio.fixture
async def trilha(door: Door) -> AsyncIterator[TrilhaClient]:
    """A client of the running daemon."""
    async with TrilhaClient(url(door.site), door.site.key) as client:
        yield client


async def test_a_start_brings_its_click_with_types(door: Door, trilha: TrilhaClient) -> None:
    token = await door.click("utm_source=FB&src=x&fbclid=IwAR1")
    start = await trilha.start(bot=BOT, telegram_id=42, message_id=7, token=token)
    assert (start.owner, start.state, start.direct) == (True, "settled", False)
    ref = door.site.read(token)
    assert start.click is not None
    assert start.click.id == str(ref.id)
    assert start.click.clicked_at == datetime.fromtimestamp(uuid7_ms(ref.id) / 1000, UTC)
    assert (start.click.utm, start.click.params) == ({"utm_source": "FB"}, {"src": "x"})
    assert (start.click.has_fbclid, start.click.traffic) == (True, "unknown")
    assert (start.click.geo, start.click.agent, start.click.scores) == (None, None, None)
    assert start.click["class"] == "unknown"
    with pytest.raises(KeyError):
        start.click["ip"]


async def test_what_settling_adds_comes_with_a_later_start(door: Door, trilha: TrilhaClient) -> None:
    token = await door.click("utm_source=FB", {"User-Agent": "curl/8.1"})
    await trilha.start(bot=BOT, telegram_id=42, message_id=7, token=token)
    await door.site.settle()
    click = (await trilha.start(bot=BOT, telegram_id=42, message_id=7, token=token)).click
    assert click is not None
    assert (click.traffic, click["evidence"]) == ("tool", click.raw["evidence"])
    assert click.agent is not None
    assert click.scores is not None
    assert len(await door.site.rows(starts)) == 1


async def test_a_start_without_a_token_is_direct_and_one_however_often_it_is_sent(
    door: Door, trilha: TrilhaClient
) -> None:
    for token in (None, "", None):
        assert await trilha.start(bot=BOT, telegram_id=42, message_id=7, token=token) == DIRECT
    assert len(await door.site.rows(starts)) == 1


async def test_each_refusal_has_its_error(door: Door, site: Site, trilha: TrilhaClient) -> None:
    with pytest.raises(InvalidToken, match="invalid_token"):
        await trilha.start(bot=BOT, telegram_id=42, message_id=7, token=FOREIGN)
    with pytest.raises(Refused) as unknown:
        await trilha.start(bot="nobody_bot", telegram_id=42, message_id=7)
    assert unknown.value.code == "unknown_bot"
    with pytest.raises(Refused) as impossible:
        await trilha.start(bot=BOT, telegram_id=-1, message_id=7)
    assert impossible.value.code == "invalid_body"
    async with TrilhaClient(url(site), "trk_wrong") as stranger:
        with pytest.raises(Unauthorized):
            await stranger.start(bot=BOT, telegram_id=42, message_id=7)
        with pytest.raises(Unauthorized):
            await stranger.click(FOREIGN)
    assert await site.rows(starts) == []


async def test_a_click_is_looked_up_and_what_no_store_has_is_none(door: Door, trilha: TrilhaClient) -> None:
    token = await door.click("utm_source=FB")
    click = await trilha.click(token)
    assert isinstance(click, Click)
    assert (click.utm, click["settled"], click["owner"]) == ({"utm_source": "FB"}, False, None)
    other = site_token(door.site)
    assert await trilha.click(other) is None
    for wrong in (FOREIGN, "x/../y", "🔥", "\ud800", "%00"):
        with pytest.raises(InvalidToken):
            await trilha.click(wrong)


def site_token(site: Site) -> str:
    """A token of ours whose click no store has."""
    return site.minter().mint(ClickIds().new(site.clock.now_ms()), 1, b"12345678").text


async def test_what_another_program_put_into_the_link_is_noted_as_a_direct_start(
    door: Door, trilha: TrilhaClient
) -> None:
    for number, payload in enumerate((FOREIGN, "ref_55", "🔥", "\ud800"), 1):
        assert await trilha.try_start(bot=BOT, telegram_id=42, message_id=number, token=payload) == DIRECT
    assert {row.kind for row in await door.site.rows(starts)} == {"direct"}


async def test_no_trouble_of_tracking_reaches_the_bot_and_each_is_told(door: Door, site: Site) -> None:
    heard: list[ClientError] = []
    wrong = {"url": "http://" + HOST + f":{free_port()}", "key": "trk_wrong", "bot": "nobody_bot"}
    for base, key, bot in (
        (wrong["url"], site.key, BOT),
        (url(site), wrong["key"], BOT),
        (url(site), site.key, wrong["bot"]),
        ("ftp://nowhere", site.key, BOT),
    ):
        async with TrilhaClient(base, key, on_failure=heard.append) as client:
            assert await client.try_start(bot=bot, telegram_id=42, message_id=7, token="x") is None
    assert [type(error) for error in heard] == [Unavailable, Unauthorized, Refused, Unavailable]
    async with TrilhaClient(url(site), wrong["key"]) as silent:
        assert await silent.try_start(bot=BOT, telegram_id=42, message_id=7) is None


async def test_a_conversion_is_reported_with_types_and_again_it_is_the_same(
    door: Door, trilha: TrilhaClient
) -> None:
    token = await door.click()
    await trilha.start(bot=BOT, telegram_id=42, message_id=7, token=token)
    sold: dict[str, Any] = {"bot": BOT, "event": "Purchase", "telegram_id": 42, "order_id": "A-1"}
    sold |= {"currency": "BRL", "at": datetime.now(UTC), "person": {"email": "nobody", "city": "Recife"}}
    found = await trilha.conversion(**sold, value=Decimal("97.10"), content={"contents": [{"id": "x"}]})
    ref = door.site.read(token)
    assert found == Conversion(
        event_id=found.event_id,
        state="pending",
        reason=None,
        new=True,
        click=str(ref.id),
        link=SLUG,
        pixel="1234567890",
        ignored=("email",),
    )
    for value in ("1", 1, 1.5):
        assert await trilha.try_conversion(**sold, value=value) == replace(found, new=False)
    by_click = await trilha.conversion(bot=BOT, event="Lead", click_id=str(ref.id))
    assert await trilha.conversion(bot=BOT, event="Lead", token=token) == replace(by_click, new=False)
    [row] = [row for row in await door.site.rows(outbox) if row.event == "Purchase"]
    assert (row.value, row.custom) == (97_100_000, {"contents": [{"id": "x"}]})


async def test_no_trouble_of_tracking_stops_a_sale_and_each_is_told(door: Door, site: Site) -> None:
    heard: list[ClientError] = []
    lead: dict[str, Any] = {"bot": BOT, "event": "Lead", "telegram_id": 42}
    async with TrilhaClient(url(site), site.key, on_failure=heard.append) as client:
        for wrong in ({"event": "PageView"}, {"telegram_id": None, "token": "x y"}, {"bot": "nobody_bot"}):
            assert await client.try_conversion(**(lead | wrong)) is None
        with pytest.raises(Refused, match="invalid_conversion"):
            await client.conversion(**(lead | {"event": "PageView"}))
    assert [str(error) for error in heard] == ["invalid_conversion", "invalid_token", "unknown_bot"]
    async with TrilhaClient(f"http://{HOST}:{free_port()}", site.key) as silent:
        assert await silent.try_conversion(**lead) is None


# ---------------------------------------------------------------- when the way there fails


class Relay:
    """A network between client and daemon: it counts requests, and keeps the first answers from arriving."""

    def __init__(self, port: int, *, lost: int = 0) -> None:
        self.port = free_port()
        self.requests = 0
        self._to = port
        self._lost = lost

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._pass, HOST, self.port)
        try:
            yield f"http://{HOST}:{self.port}"
        finally:
            server.close()
            await server.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, self._to)
        forth = asyncio.create_task(self._forth(reader, back))
        try:
            while answer := await there.read(65536):
                if self._lost:
                    self._lost -= 1
                    return
                writer.write(answer)
                await writer.drain()
        finally:
            forth.cancel()
            back.close()
            writer.close()

    async def _forth(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.requests += data.count(b"POST /v1/starts ")
            back.write(data)
        back.close()


async def test_an_answer_that_is_lost_is_asked_for_again_and_stays_one_start(door: Door, site: Site) -> None:
    token = await door.click()
    relay = Relay(site.settings.private_bind.port, lost=2)
    async with relay.running() as base, TrilhaClient(base, site.key) as client:
        start = await client.start(bot=BOT, telegram_id=42, message_id=7, token=token)
        direct = await client.start(bot=BOT, telegram_id=42, message_id=8)
    assert (start.owner, direct) == (True, DIRECT)
    assert relay.requests == 4
    await site.settle()
    assert len(await site.rows(starts)) == 2
    assert len(await site.rows(outbox)) == 1


async def test_with_stores_that_take_nothing_it_is_tried_three_times_and_called_unavailable(
    site: Site,
) -> None:
    site.sql_away()
    site.break_spool()
    heard: list[ClientError] = []
    async with site.running():
        relay = Relay(site.settings.private_bind.port)
        async with relay.running() as base, TrilhaClient(base, site.key, on_failure=heard.append) as client:
            with pytest.raises(Unavailable, match="503"):
                await client.start(bot=BOT, telegram_id=42, message_id=7)
            assert relay.requests == 3
            assert await client.try_start(bot=BOT, telegram_id=42, message_id=7) is None
    assert [str(error) for error in heard] == ["status 503"]


async def test_with_sql_away_a_start_is_deferred_and_later_the_same_start(site: Site) -> None:
    site.sql_away()
    async with site.running() as door, TrilhaClient(url(site), site.key) as client:
        token = await door.click("utm_source=FB")
        start = await client.start(bot=BOT, telegram_id=42, message_id=7, token=token)
        site.sql_back()
        await site.settle()
        later = await client.start(bot=BOT, telegram_id=42, message_id=7, token=token)
    assert (start.owner, start.state) == (False, "deferred")
    assert start.click is not None
    assert start.click.utm == {"utm_source": "FB"}
    assert (later.owner, later.state) == (True, "settled")
    assert len(await site.rows(starts)) == 1


async def test_a_daemon_that_is_stopped_is_unavailable_and_answers_again_once_it_runs(site: Site) -> None:
    async with TrilhaClient(url(site), site.key) as client:
        with pytest.raises(Unavailable):
            await client.start(bot=BOT, telegram_id=42, message_id=7)
        async with site.running():
            assert await client.start(bot=BOT, telegram_id=42, message_id=7) == DIRECT
        with pytest.raises(Unavailable):
            await client.click(FOREIGN)


async def test_a_server_that_never_answers_is_left_within_the_timeout_of_the_whole_call() -> None:
    port, taken = free_port(), []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    server = await asyncio.start_server(silent, HOST, port)
    async with TrilhaClient(f"http://{HOST}:{port}", "trk_x", timeout=0.3) as client:
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable):
                await client.start(bot=BOT, telegram_id=42, message_id=7)
    # A second attempt would have come after it.
    assert len(taken) == 1
    for writer in taken:
        writer.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b"null", b'{"click": {}}', b'{"click": "x"}', b"\xff"]
)
async def test_what_answers_200_and_is_not_trilha_is_refused_and_no_crash(body: bytes) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        writer.close()

    port = free_port()
    server = await asyncio.start_server(other, HOST, port)
    async with server, TrilhaClient(f"http://{HOST}:{port}", "trk_x") as client:
        with pytest.raises(Refused, match="unknown_answer"):
            await client.start(bot=BOT, telegram_id=42, message_id=7)
        assert await client.try_start(bot=BOT, telegram_id=42, message_id=7) is None


async def test_no_error_names_a_token_a_key_or_a_person(door: Door, site: Site) -> None:
    heard: list[ClientError] = []
    token = await door.click()
    with captured_logs("debug") as page:
        for base, key, bot in ((url(site), "trk_wrongwrong", BOT), (url(site), site.key, "nobody_bot")):
            async with TrilhaClient(base, key, on_failure=heard.append) as client:
                await client.try_start(bot=bot, telegram_id=778899, message_id=7, token=token)
    said = page.getvalue() + "".join(
        f"{error!r} {error.__cause__!r} {error.__context__!r}" for error in heard
    )
    assert len(heard) == 2
    for part in (token, "778899", "trk_wrongwrong", site.key):
        assert part not in said


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("/start abc", "abc"),
        ("/start@Shop_Bot abc", "abc"),
        ("/start  abc ", "abc"),
        ("/start\nabc", "abc"),
        ("/start", None),
        ("/start ", None),
        ("/start@shop_bot", None),
        ("/start@other_bot abc", None),
        ("/started abc", None),
        ("start abc", None),
        ("/START abc", None),
        ("", None),
        (" ", None),
        (None, None),
        (b"/start abc", None),
        (7, None),
    ],
)
def test_the_payload_stands_in_the_same_text_as_the_command(text: Any, token: str | None) -> None:
    assert token_from(text, bot="@shop_bot") == token


@given(
    text=st.text() | st.none() | st.binary() | st.integers() | st.builds(lambda t: "/start " + t, st.text())
)
def test_no_text_makes_it_raise_and_only_a_start_has_a_payload(text: Any) -> None:
    found = token_from(text)
    assert found is None or (is_start(text) and found in text)
    assert isinstance(is_start(text, bot="x"), bool)
