"""The private listener against pages that rebind a name, and against whoever tries keys."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from daemon.gate import WRONG_BURST
from tests.daemon_fixture import BOT, Door, Site

PATHS = ["/healthz", "/readyz", "/metrics", "/v1/openapi.json", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8081", "trilha"],
)
async def test_a_name_that_was_pointed_here_is_told_nothing(door: Door, path: str, host: str) -> None:
    answer = await door.api.get(path, headers={"host": host})
    assert (answer.status_code, answer.json()["error"]) == (421, "wrong_host")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8081", "[::1]", "[::1]:9", "10.1.2.3:80", "localhost", "LOCALHOST.:80"]
)
async def test_addresses_and_localhost_are_names_of_ours(door: Door, host: str) -> None:
    assert (await door.api.get("/metrics", headers={"host": host})).status_code == 200


async def test_configured_names_are_ours_and_others_are_not(tmp_path: Path) -> None:
    site = Site(tmp_path, private_hosts=["trilha", "api.internal"])
    await site.prepare()
    async with site.running() as door:
        for host, status in (("trilha:8081", 200), ("API.internal", 200), ("trilha.evil.example", 421)):
            assert (await door.api.get("/readyz", headers={"host": host})).status_code == status


async def test_telegram_asks_by_the_public_name(door: Door) -> None:
    answer = await door.api.post(f"/telegram/{BOT}", json={}, headers={"host": "go.example.com"})
    assert answer.status_code == 401


async def _tried(door: Door, key: str = "wrong", path: str = "/v1/openapi.json") -> httpx2.Response:
    return await door.api.get(path, headers={"authorization": f"Bearer {key}"})


async def test_whoever_tries_keys_is_slowed_and_a_right_key_is_let_in_all_the_same(door: Door) -> None:
    seen = [await _tried(door, f"trk_{number}") for number in range(int(WRONG_BURST) * 3)]
    statuses = [answer.status_code for answer in seen]
    assert statuses[: int(WRONG_BURST)] == [401] * int(WRONG_BURST)
    last = next(answer for answer in reversed(seen) if answer.status_code == 429)
    assert last.json()["error"] == "too_many"
    assert int(last.headers["retry-after"]) >= 1
    assert (await _tried(door, door.site.key)).status_code == 200
    assert await door.metric('trilha_api_refused_total{reason="address"}') == statuses.count(429)


async def test_wrong_secrets_of_a_webhook_count_like_wrong_keys(door: Door) -> None:
    statuses = [
        (await door.api.post(f"/telegram/{BOT}", json={})).status_code for _ in range(int(WRONG_BURST) * 3)
    ]
    assert (statuses[0], 429 in statuses) == (401, True)


async def test_a_key_that_is_used_too_often_has_to_wait_and_another_one_has_not(tmp_path: Path) -> None:
    site = Site(tmp_path, api_rate=1)
    await site.prepare()
    async with site.running() as door:
        answers = [await _tried(door, site.key) for _ in range(12)]
        assert answers[0].status_code == 200
        late = next(answer for answer in answers if answer.status_code == 429)
        assert (late.json()["error"], int(late.headers["retry-after"])) == ("too_many", 1)
        assert await door.metric('trilha_api_refused_total{reason="key"}') >= 1
        assert (await _tried(door, "wrong")).status_code == 401
        assert (await door.api.get("/healthz")).status_code == 200
