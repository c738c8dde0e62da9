"""The private API, over real sockets and real stores."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from backends.sql.schema import clicks, outbox, starts
from domain.clock import ManualClock, iso
from domain.ids import ClickIds, uuid7_ms
from privacy.keyring import Keyring
from privacy.token import Minter
from tests.daemon_fixture import BOT, OTHER_BOT, SLUG, Door, Site

NO_CLICK = "A" * 62


def minted(site: Site, at_ms: int | None = None) -> str:
    """A token of ours whose click no store has."""
    click_id = ClickIds().new(site.clock.now_ms() if at_ms is None else at_ms)
    return site.minter().mint(click_id, 1, b"12345678").text


def altered(token: str) -> list[str]:
    """The token with one character changed, at every tenth place and at both ends."""
    places = (0, 10, 20, 30, 40, 50, 60)
    return [token[:at] + ("B" if token[at] != "B" else "C") + token[at + 1 :] for at in places]


async def test_without_a_valid_key_every_v1_path_is_401_and_changes_nothing(door: Door, site: Site) -> None:
    token = await door.click()
    body = {"bot": BOT, "telegram_id": 7, "token": token}
    for key in ("", "Bearer", "Bearer wrong", "Basic dTpw", "Bearer trk_" + "x" * 43, "Bearer \xe9"):
        headers = {"authorization": key.encode("latin-1")}
        answers = [
            await door.api.post("/v1/starts", json=body, headers=headers),
            await door.api.post("/v1/starts", content=b"not json", headers=headers),
            await door.api.get(f"/v1/clicks/{token}", headers=headers),
            await door.api.get("/v1/clicks/nonsense", headers=headers),
            await door.api.head(f"/v1/clicks/{token}", headers=headers),
        ]
        assert [answer.status_code for answer in answers] == [401] * 5
        assert {answer.json()["error"] for answer in answers[:4]} == {"unauthorized"}
    assert await site.rows(starts) == []


async def test_without_the_key_unknown_used_and_forged_tokens_get_the_identical_answer(door: Door) -> None:
    used = await door.click()
    await door.start(used)
    tokens = [used, await door.click(), minted(door.site), NO_CLICK]
    answers = [await door.api.get(f"/v1/clicks/{t}", headers={"authorization": ""}) for t in tokens]
    assert len({(a.status_code, a.content, tuple(a.headers.raw)) for a in answers}) == 1


def test_the_key_file_holds_a_hash_and_is_ours_alone(tmp_path: Path) -> None:
    site = Site(tmp_path)
    asyncio.run(site.prepare())
    assert stat.S_IMODE(site.settings.api_keys.stat().st_mode) == 0o600
    assert site.key not in site.settings.api_keys.read_text()


async def test_a_forged_altered_or_expired_token_is_422_everywhere(door: Door, site: Site) -> None:
    token = await door.click()
    old = minted(site, site.clock.now_ms() - 29 * 86_400_000)
    for bad in (*altered(token), old, NO_CLICK, token[:-1], token + "=", "None", "x", "🔥" * 62):
        answer = await door.api.post("/v1/starts", json={"bot": BOT, "telegram_id": 7, "token": bad})
        assert (answer.status_code, answer.json()["error"]) == (422, "invalid_token"), bad
        looked = await door.api.get(f"/v1/clicks/{bad}")
        assert (looked.status_code, looked.json()["error"]) == (422, "invalid_token"), bad
    assert await site.rows(starts) == []


async def test_a_token_of_another_installation_is_422(door: Door, tmp_path: Path) -> None:
    ring = Keyring.create(tmp_path / "other" / "keyring.json", ManualClock())
    foreign = Minter(ring, door.site.clock, node=0, attribution_days=28)
    token = foreign.mint(ClickIds().new(door.site.clock.now_ms()), 1, b"12345678").text
    answer = await door.api.post("/v1/starts", json={"bot": BOT, "telegram_id": 7, "token": token})
    assert answer.status_code == 422


async def test_a_body_above_16_kib_is_413(door: Door) -> None:
    for size in (17_000, 100_000, 2_000_000):
        answer = await door.api.post("/v1/starts", content=b'{"bot":"' + b"x" * size + b'"}')
        assert (answer.status_code, answer.json()["error"]) == (413, "too_large")


BAD_BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"[" * 10_000,
    b'{"bot":"trail_test_bot"}',
    b'{"bot":"trail_test_bot","telegram_id":"7"}',
    b'{"bot":"trail_test_bot","telegram_id":7.5}',
    b'{"bot":"trail_test_bot","telegram_id":true}',
    b'{"bot":"trail_test_bot","telegram_id":0}',
    b'{"bot":"trail_test_bot","telegram_id":-7}',
    b'{"bot":"trail_test_bot","telegram_id":4503599627370496}',
    b'{"bot":"trail_test_bot","telegram_id":99999999999999999999999}',
    b'{"bot":"trail_test_bot","telegram_id":7,"update_id":-1}',
    b'{"bot":"trail_test_bot","telegram_id":7,"update_id":9223372036854775808}',
    b'{"bot":"trail_test_bot","telegram_id":7,"ip":"1.2.3.4"}',
    b'{"bot":null,"telegram_id":7}',
    b'{"bot":"trail_test_bot","telegram_id":7,"token":5}',
    b'{"bot":"\\ud800","telegram_id":7}',
)


async def test_a_body_that_is_not_as_described_is_422(door: Door) -> None:
    for body in BAD_BODIES:
        answer = await door.api.post("/v1/starts", content=body)
        assert answer.status_code == 422, (body, answer.text)
        assert set(answer.json()) == {"error", "detail"}
    assert await door.site.rows(starts) == []


async def test_a_bot_that_is_not_registered_is_422(door: Door) -> None:
    body = {"bot": "nobody_bot", "telegram_id": 7, "token": await door.click()}
    answer = await door.api.post("/v1/starts", json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, "unknown_bot")


async def test_paths_and_methods_that_do_not_exist_are_404_and_405_in_the_same_shape(door: Door) -> None:
    missing = await door.api.get("/v1/nothing")
    wrong = await door.api.put("/v1/starts")
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["error"]) == (405, "bad_method")


async def test_a_start_whose_click_no_store_has_is_kept_and_the_click_may_follow(
    door: Door, site: Site
) -> None:
    token = minted(site)
    answer = await door.start(token)
    assert (answer["owner"], answer["click"], answer["state"]) == (True, None, "settled")
    assert (await site.row(token)).owner_telegram_id == 7


async def test_a_click_used_by_somebody_else_is_neither_owned_nor_shown(door: Door) -> None:
    token = await door.click("utm_source=FB")
    assert (await door.start(token, 7))["owner"] is True
    answer = await door.start(token, 8)
    assert (answer["owner"], answer["click"], answer["state"]) == (False, None, "settled")


async def test_the_same_person_may_press_start_again_and_still_owns_the_click(door: Door, site: Site) -> None:
    token = await door.click("utm_source=FB")
    answers = [await door.start(token, 7) for _ in range(3)]
    await site.settle()
    answers += [await door.start(token, 7, update_id=n) for n in (5, 5, 6)]
    assert answers[0]["owner"] is True
    assert answers[0]["click"]["utm"] == {"utm_source": "FB"}
    # What settling adds is null before.
    settled = [answer["click"] | dict.fromkeys(ADDED) for answer in answers]
    assert all(click == settled[0] for click in settled)
    assert all(answer | {"click": None} == answers[0] | {"click": None} for answer in answers)
    assert len(await site.rows(outbox)) == 1


async def test_a_direct_start_is_called_direct_and_owns_nothing(door: Door, site: Site) -> None:
    for token in (None, ""):
        answer = await door.start(token, 9)
        assert answer == {"owner": False, "click": None, "state": "settled", "direct": True}
    assert {row.kind for row in await site.rows(starts)} == {"direct"}
    assert await site.rows(clicks) == []


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_of_a_hundred_people_who_start_one_token_at_once_exactly_one_owns_it(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgres" else None
    site = Site(tmp_path, sql_url=url)
    await site.prepare()
    async with site.running() as door:
        token = await door.click()
        people = range(1, 101)
        answers = await asyncio.gather(*(door.start(token, person) for person in people))
        await site.settle()
        row = await site.row(token)
        asked = sorted({row.owner_telegram_id, 1, 50, 100})
        again = [person for person in asked if (await door.start(token, person))["owner"]]
    winners = [person for person, answer in zip(people, answers, strict=True) if answer["owner"]]
    assert again == [row.owner_telegram_id]
    # With SQLite some may have waited for the lock too long and were kept for later: then nobody was told "yes" twice.
    assert winners in ([row.owner_telegram_id], [])
    assert winners or "deferred" in {answer["state"] for answer in answers}
    assert len(await site.rows(outbox)) == 1


async def test_with_sql_down_a_start_is_deferred_and_settles_when_sql_is_back(site: Site) -> None:
    site.sql_away()
    async with site.running() as door:
        token = await door.click("utm_source=FB")
        answer = await door.start(token, 7)
        direct = await door.start(None, 8)
        assert (answer["owner"], answer["state"]) == (False, "deferred")
        assert answer["click"]["utm"] == {"utm_source": "FB"}
        assert (direct["state"], direct["direct"]) == ("deferred", True)
        site.sql_back()
        await site.settle()
        assert (await door.start(token, 7))["owner"] is True
    row = await site.row(token)
    assert (row.owner_telegram_id, row.params) == (7, {"utm_source": "FB"})
    assert {found.kind for found in await site.rows(starts)} == {"attributed", "direct"}
    assert len(await site.rows(outbox)) == 1


async def test_with_sql_and_spool_down_a_start_is_503_and_to_be_sent_again(site: Site) -> None:
    site.sql_away()
    site.break_spool()
    async with site.running() as door:
        body = {"bot": BOT, "telegram_id": 7, "token": await door.click()}
        answer = await door.api.post("/v1/starts", json=body)
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"


ADDED = ("geo", "agent", "class", "evidence", "tentative", "scores")


def shape(value: dict[str, Any]) -> dict[str, str]:
    return {name: type(held).__name__ for name, held in value.items()}


async def test_a_click_is_shown_as_described_before_and_after_it_is_settled(door: Door, site: Site) -> None:
    token = await door.click("utm_source=FB&src=x&fbclid=IwAR1", {"Referer": "https://l.facebook.com/?u=1"})
    before = (await door.api.get(f"/v1/clicks/{token}")).json()
    await door.start(token)
    await site.settle()
    after = (await door.api.get(f"/v1/clicks/{token}")).json()
    ref = site.read(token)
    assert before == {
        "id": str(ref.id),
        "link": SLUG,
        "clicked_at": iso(uuid7_ms(ref.id)),
        "known_from": "click",
        "ad": {"source": "FB", "campaign": "", "medium": "", "content": "", "term": ""},
        "utm": {"utm_source": "FB"},
        "params": {"src": "x"},
        "has_fbclid": True,
        "referer_host": "l.facebook.com",
        "language": "",
        "geo": None,
        "agent": None,
        "class": "unknown",
        "evidence": [],
        "tentative": None,
        "scores": None,
        "durability": "synced",
        "visible": False,
        "settled": False,
        "owner": None,
    }
    owner = after.pop("owner")
    added = {name: after.pop(name) for name in ADDED}
    assert after == {n: held for n, held in before.items() if n not in {"owner", *ADDED}} | {"settled": True}
    assert added["evidence"] == ["no user agent"]
    assert shape(added) == {
        "geo": "dict",
        "agent": "dict",
        "class": "str",
        "evidence": "list",
        "tentative": "bool",
        "scores": "dict",
    }
    assert (owner["bot"], owner["telegram_id"]) == (BOT, 7)
    assert shape(owner) == {"bot": "str", "telegram_id": "int", "started_at": "str"}


async def test_reading_a_click_takes_nothing_from_it(door: Door, site: Site) -> None:
    token = await door.click()
    for _ in range(3):
        assert (await door.api.get(f"/v1/clicks/{token}")).status_code == 200
    assert (await door.start(token))["owner"] is True


async def test_a_click_that_no_store_has_is_404(door: Door, site: Site) -> None:
    answer = await door.api.get(f"/v1/clicks/{minted(site)}")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_a_click_is_never_called_missing_while_sql_cannot_be_asked(door: Door, site: Site) -> None:
    for table in ("clicks", "starts"):
        await site.execute(f"DROP TABLE {table}")
    answer = await door.api.get(f"/v1/clicks/{minted(site)}")
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")


async def test_metrics_and_health_show_nothing_personal(tmp_path: Path) -> None:
    site = Site(tmp_path, trusted_proxies=["127.0.0.0/8"])
    await site.prepare()
    sent = {"X-Forwarded-For": "179.1.2.3", "User-Agent": "Singular/1.0", "Cookie": "_fbp=fb.1.2.445566"}
    async with site.running() as door:
        token = await door.click("fbclid=IwARpersonal&utm_source=Person", sent)
        await door.start(token, 778899)
        pages = [(await door.api.get(path)).text for path in ("/metrics", "/readyz", "/healthz")]
    for page in pages:
        for secret in ("179.1.2.3", "Singular", "445566", "IwARpersonal", "Person", token, "778899", SLUG):
            assert secret not in page


async def test_a_start_is_answered_for_the_bot_that_was_named(door: Door, site: Site) -> None:
    token = await door.click()
    await door.start(token, 7, bot="@" + OTHER_BOT.upper())
    shown = (await door.api.get(f"/v1/clicks/{token}")).json()
    assert shown["owner"]["bot"] == OTHER_BOT
