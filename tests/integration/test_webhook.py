"""Telegram's webhook, over real HTTP with a daemon on real stores."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert

from backends.sql.schema import clicks, greetings, outbox, starts
from tests.daemon_fixture import BOT, OTHER_BOT, Door, Site, captured_logs, exchange
from tests.telegram_calls import HEADER, SECRET, call, give_key, message

HELLO = {"method": "sendMessage", "chat_id": 42, "text": "Hello, Ana! Good to have you here. 👋"}


@pytest_asyncio.fixture
async def door(site: Site) -> AsyncIterator[Door]:
    """A daemon whose first bot has a webhook's secret."""
    await give_key(site)
    async with site.running() as running:
        yield running


async def test_a_start_with_a_token_is_attributed_and_greeted_in_the_answer(door: Door, site: Site) -> None:
    token = await door.click("utm_source=FB")
    answer = await call(door.api, message(f"/start {token}"))
    assert (answer.status_code, answer.json()) == (200, HELLO)
    assert answer.headers["content-type"] == "application/json"
    row = await site.row(token)
    assert (row.owner_telegram_id, len(await site.rows(starts))) == (42, 1)


async def test_the_link_s_own_greeting_comes_with_its_picture_and_buttons(site: Site) -> None:
    said = {
        "link_id": 1,
        "language": "en",
        "text": "{name} from {source}",
        "buttons": [{"text": "Shop", "url": "https://shop.example"}],
        "photo_url": "https://shop.example/x.jpg",
    }
    async with site.engine() as engine, engine.begin() as connection:
        await connection.execute(insert(greetings), [said])
    await give_key(site)
    async with site.running() as door:
        answer = await call(door.api, message(f"/start {await door.click('utm_source=FB')}"))
    assert answer.json() == {
        "method": "sendPhoto",
        "chat_id": 42,
        "photo": "https://shop.example/x.jpg",
        "caption": "Ana from FB",
        "reply_markup": {"inline_keyboard": [[{"text": "Shop", "url": "https://shop.example"}]]},
    }


async def test_a_repeat_gets_the_same_answer_and_is_one_start(door: Door, site: Site) -> None:
    token = await door.click()
    update = message(f"/start {token}")
    answers = await asyncio.gather(*(call(door.api, update) for _ in range(5)))
    answers.append(await call(door.api, update))
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    await site.settle()
    assert len(await site.rows(starts)) == 1
    assert len(await site.rows(outbox)) == 1


async def test_a_start_that_came_another_way_with_its_message_id_is_the_same_start(
    door: Door, site: Site
) -> None:
    token = await door.click()
    await door.start(token, 42, update_id=77)
    answer = await call(door.api, message(f"/start {token}", message_id=77))
    assert answer.json() == HELLO
    assert len(await site.rows(starts)) == 1


async def test_a_payload_of_another_program_and_none_are_direct_and_greeted(door: Door, site: Site) -> None:
    for number, text in enumerate(
        ("/start", "/start ref_55", "/start 🔥", f"/start@{BOT} x", "/start\x00y z")
    ):
        answer = await call(door.api, message(text, message_id=100 + number))
        expected = HELLO if not text.startswith("/start\x00") else None
        assert answer.status_code == 200
        assert (answer.json() if answer.content else None) == expected, text
    assert {row.kind for row in await site.rows(starts)} == {"direct"}
    assert await site.rows(clicks) == []


NOT_A_START: list[dict[str, Any]] = [
    message("hello"),
    message("/help"),
    message("/started"),
    message(f"/start@{OTHER_BOT} x"),
    message(None),
    message("/start", chat={"id": -100, "type": "supergroup"}),
    message("/start", chat={"id": -5, "type": "group"}),
    message("/start", **{"from": {"id": 42, "is_bot": True}}),
    message("/start", telegram_id=2**52),
    message("/start", telegram_id=-42),
    {"update_id": 1, "edited_message": message("/start")["message"]},
    {"update_id": 1, "channel_post": message("/start")["message"]},
    {"update_id": 1, "poll_of_next_year": {}},
    {"update_id": 1},
]


async def test_all_that_is_no_start_of_a_person_is_200_and_nothing_comes_of_it(
    door: Door, site: Site
) -> None:
    for update in NOT_A_START:
        answer = await call(door.api, update)
        assert (answer.status_code, answer.content) == (200, b""), update
    assert await site.rows(starts) == []


async def test_a_block_is_200(door: Door) -> None:
    change = {
        "chat": {"id": 42, "type": "private"},
        "from": {"id": 42, "is_bot": False},
        "date": 1_800_000_000,
        "new_chat_member": {"status": "kicked"},
    }
    answer = await call(door.api, {"update_id": 1, "my_chat_member": change})
    assert (answer.status_code, answer.content) == (200, b"")


BAD = [
    b"",
    b"not json",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"message": {"text": "\xff"}}',
    b'{"message": {"text": "/start \\ud800"}}',
    b'{"message": {"from": {"first_name": "\\udfff"}}}',
    b'{"a":' * 40_000,
    b"[" * 250_000,
]


async def test_what_is_no_json_object_is_400_in_the_shape_of_the_api(door: Door, site: Site) -> None:
    for body in BAD:
        answer = await call(door.api, body)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_body"), body[:40]
        assert set(answer.json()) == {"error", "detail"}
    assert await site.rows(starts) == []


async def test_an_update_of_200_kib_is_read_and_one_above_256_kib_is_413(door: Door) -> None:
    large = message("/start", entities=["x" * 100] * 2000)
    assert len(json.dumps(large)) > 200_000
    assert (await call(door.api, large)).json() == HELLO
    for size in (257 * 1024, 3_000_000):
        answer = await call(door.api, b'{"message":"' + b"x" * size + b'"}')
        assert (answer.status_code, answer.json()["error"]) == (413, "too_large")


async def test_a_body_without_an_end_is_cut_off_at_the_limit(door: Door) -> None:
    head = f"POST /telegram/{BOT} HTTP/1.1\r\nHost: x\r\n{HEADER}: {SECRET}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    end = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    port = door.site.settings.private_bind.port
    answer = await exchange(port, head.encode() + chunk * 20 + end)
    assert answer.status == 413


async def test_with_sql_down_the_person_is_greeted_and_the_start_settles_later(site: Site) -> None:
    await give_key(site)
    site.sql_away()
    async with site.running() as door:
        token = await door.click("utm_source=FB")
        answer = await call(door.api, message(f"/start {token}"))
        site.sql_back()
        await site.settle()
    assert (answer.status_code, answer.json()) == (200, HELLO)
    assert (await site.row(token)).owner_telegram_id == 42


async def test_with_sql_and_spool_down_telegram_is_asked_to_come_again(site: Site) -> None:
    await give_key(site)
    site.sql_away()
    site.break_spool()
    async with site.running() as door:
        answer = await call(door.api, message("/start"))
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"


# ---------------------------------------------------------------- secrets

STRANGERS: list[tuple[str, str | None]] = [
    (BOT, "wrong"),
    (BOT, ""),
    (BOT, None),
    (BOT, SECRET + "x"),
    (BOT, SECRET[:-1]),
    (BOT, "0" * 64),
    (OTHER_BOT, SECRET),
    (OTHER_BOT, ""),
    (OTHER_BOT, None),
    ("nobody_bot", SECRET),
    ("nobody_bot", None),
    ("x" * 2000, SECRET),
    ("%00", SECRET),
    ("%F0%9F%94%A5", SECRET),
]


async def test_nobody_learns_whether_a_bot_exists_has_a_webhook_or_what_its_secret_is(
    door: Door, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer for all, one comparison of equal length for each, and the body is not looked at."""
    compared = []
    plain = hmac.compare_digest

    def counted(first: Any, second: Any) -> bool:
        compared.append((len(first), len(second)))
        return plain(first, second)

    monkeypatch.setattr("daemon.telegram_webhook.hmac.compare_digest", counted)
    answers = [
        await call(door.api, body, bot=bot, secret=secret)
        for bot, secret in STRANGERS
        for body in (message(f"/start {'A' * 62}"), b"not json")
    ]
    assert {(a.status_code, a.content, tuple(a.headers.raw)) for a in answers} == {
        (401, answers[0].content, tuple(answers[0].headers.raw))
    }
    assert answers[0].json()["error"] == "unauthorized"
    assert compared == [(64, 64)] * len(answers)
    assert await site.rows(starts) == []


async def test_the_secret_opens_its_own_bot_alone_in_any_case_of_its_name(site: Site) -> None:
    await give_key(site)
    await give_key(site, bot=OTHER_BOT, secret="another")
    async with site.running() as door:
        statuses = [
            (await call(door.api, message("/start"), bot=bot, secret=secret)).status_code
            for bot in (BOT, BOT.upper(), OTHER_BOT)
            for secret in (SECRET, "another")
        ]
    assert statuses == [200, 401, 200, 401, 401, 200]


async def test_a_webhook_s_secret_is_no_api_key_and_an_api_key_no_secret(door: Door, site: Site) -> None:
    keyed = {"authorization": f"Bearer {SECRET}", HEADER: SECRET}
    body = {"bot": BOT, "telegram_id": 42}
    assert (await door.api.post("/v1/starts", json=body, headers=keyed)).status_code == 401
    assert (await call(door.api, message("/start"), secret=site.key)).status_code == 401


async def test_nothing_of_an_update_and_no_secret_is_logged_or_said_back(site: Site) -> None:
    await give_key(site)
    with captured_logs("debug") as page:
        async with site.running() as door:
            token = await door.click("utm_source=Singular")
            sent: list[Any] = [message(f"/start {token}", telegram_id=778899, message_id=n) for n in (1, 2)]
            sent += [json.dumps(message("Singular", telegram_id=778899)).encode()[:-1], b'{"Singular' * 5]
            sent += [message("Singular", telegram_id=2**60 + 778899), {"message": {"Singular": SECRET}}]
            refused = [await call(door.api, update, secret=SECRET + "x") for update in sent]
            answers = [await call(door.api, update) for update in sent]
    said = page.getvalue() + "".join(answer.text for answer in refused + answers[2:])
    for part in (SECRET, token, "778899", "Singular", "Ana"):
        assert part not in said


async def test_a_field_that_is_not_utf_8_is_no_fault_of_ours_in_a_start_either(door: Door) -> None:
    for body in (b'{"bot":"\xff","telegram_id":7}', b'{"bot":"\xed\xa0\x80","telegram_id":7}'):
        answer = await door.api.post("/v1/starts", content=body)
        assert (answer.status_code, answer.json()["error"]) == (422, "invalid_body")


@pytest.mark.parametrize(
    "target",
    [
        "/telegram/../v1/starts",
        "/telegram/%2e%2e/v1/starts",
        f"/telegram/{BOT}/../../v1/starts",
        f"/telegram/{BOT}%2f..%2f..%2fmetrics",
        f"/telegram/{BOT}/",
        "/telegram/",
        "/telegram//metrics",
        "//metrics",
    ],
)
async def test_what_a_proxy_forwards_by_its_beginning_leads_to_nothing_else_of_the_listener(
    door: Door, target: str
) -> None:
    for method in ("GET", "POST"):
        # By a name of ours: the guard of names answers for no route here.
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{HEADER}: {SECRET}\r\nContent-Length: 2\r\nConnection: close"
        answer = await exchange(door.site.settings.private_bind.port, f"{head}\r\n\r\n{{}}".encode())
        assert answer.status in {404, 405, 307}, answer.raw
        assert b"trilha_" not in answer.body
