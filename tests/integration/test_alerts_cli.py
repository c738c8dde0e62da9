"""trilha alerts and the worker that judges, as an operator has them: real commands, a real worker, real servers."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from backends.sql.bot_accounts import SqlBotAccounts
from backends.sql.engine import make_engine
from backends.sql.outbox import SqlOutbox
from cli.common import EXIT_CONFIG, EXIT_FAILED
from daemon.worker import work
from domain.clock import SystemClock
from domain.errors import ConfigError
from privacy.bot_tokens import BotTokens
from privacy.keyring import Keyring
from runtime.metrics import Metrics
from tests.commands import Commands
from tests.daemon_fixture import BOT, Site
from tests.making import PATIENT
from tests.receiver import LOOPBACK, Receiver, receiving

LANE = "meta/1234567890"
SECRET = "0123456789abcdef0123456789abcdef"
TOKEN = "7012345678:AAF4f_k3-Zp9QwErTyUiOpAsDfGhJkLzXcV"
OK = b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"ok":true}'


@pytest.fixture
def hands(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    given = site.settings
    return Commands(
        monkeypatch,
        capsys,
        home_dir=str(given.home_dir),
        sql_url=given.sql,
        private_bind=str(given.private_bind),
    )


def secret(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


async def hold(site: Site) -> None:
    async with site.engine() as engine:
        await SqlOutbox(engine).hold(LANE, "ended", at_ms=SystemClock().now_ms())


async def working(
    site: Site, until: Callable[[], Awaitable[bool] | bool], metrics: Metrics | None = None
) -> None:
    """Run a worker until that holds."""
    stop = asyncio.Event()
    running = asyncio.create_task(work(site.settings, SystemClock(), stop, metrics))
    try:
        async with asyncio.timeout(PATIENT):
            while not until():
                assert not running.done(), running
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await running


async def test_a_worker_tells_a_webhook_of_a_held_lane_and_the_list_shows_it(
    site: Site, hands: Commands
) -> None:
    await hold(site)
    secret(site.settings.alert_webhook_secret, SECRET)
    metrics = Metrics()
    async with receiving() as there:
        host = f"{LOOPBACK}:{there.port}"
        changes = {"alert_webhook": f"http://{host}/", "webhook_hosts": (host,), "alert_language": "pt"}
        site.settings = site.settings.model_copy(update=changes)
        await working(site, lambda: bool(there.calls), metrics)
    stamp, _, digest = there.call.header("Trilha-Signature").partition(",v1=")
    signed = stamp.removeprefix("t=").encode() + b"." + there.call.body
    assert hmac.compare_digest(digest, hmac.digest(SECRET.encode(), signed, "sha256").hex())
    (alert,) = json.loads(there.call.body)["alerts"]
    assert (alert["state"], alert["rule"], alert["subject"]) == ("firing", "lane_held", LANE)
    assert alert["headline"].startswith("Trilha: URGENTE. Um destino está retido")
    assert 'trilha_alert_firing{rule="lane_held"} 1.0' in metrics.render().decode()
    await asyncio.to_thread(lambda: hands("alerts", "list"))  # what the worker has logged is read with it
    found = await asyncio.to_thread(lambda: json.loads(hands("alerts", "list", "--json").out))
    assert [(item["rule"], item["subject"], item["state"]) for item in found["alerts"]] == [
        ("lane_held", LANE, "firing")
    ]
    assert [(item["node"], item["silent"]) for item in found["workers"]] == [(0, False)]
    text = await asyncio.to_thread(lambda: hands("alerts", "list").out)
    assert "lane_held" in text
    assert "the worker of node 0 judged" in text


async def test_without_a_worker_the_list_says_that_nobody_judges(site: Site, hands: Commands) -> None:
    text = await asyncio.to_thread(lambda: hands("alerts", "list").out)
    assert "nothing fires" in text
    assert "no worker has judged anything yet" in text


async def test_the_test_sends_through_telegram_with_the_bots_own_sealed_token(
    site: Site, hands: Commands, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    engine = make_engine(site.settings.sql, patience=PATIENT)
    sealed = BotTokens(Keyring(site.settings.secrets, SystemClock())).seal(TOKEN, 1)
    await SqlBotAccounts(engine).put_token(1, sealed, 7012345678)
    await engine.dispose()
    async with receiving(Receiver(answer=OK)) as there:
        hands.set(alert_telegram=f"-100123@{BOT}", bot_api_url=f"http://{LOOPBACK}:{there.port}")
        found = await asyncio.to_thread(lambda: json.loads(hands("alerts", "test", "--json").out))
    assert [(item["channel"], item["sent"]) for item in found] == [("telegram", True)]
    assert there.call.line == f"POST /bot{TOKEN}/sendMessage HTTP/1.1"
    assert json.loads(there.call.body)["chat_id"] == -100123
    assert TOKEN not in hands.said + caplog.text


async def test_the_test_says_of_each_channel_what_became_of_it(site: Site, hands: Commands) -> None:
    secret(site.settings.alert_webhook_secret, SECRET)
    async with receiving() as there:
        host = f"{LOOPBACK}:{there.port}"
        hands.set(alert_webhook=f"http://{host}/", webhook_hosts=host, alert_telegram=f"5@{BOT}")
        text = await asyncio.to_thread(lambda: hands("alerts", "test", code=EXIT_FAILED).out)
    assert "webhook: took the message" in text
    assert f"telegram: DID NOT take the message: TRILHA_ALERT_TELEGRAM: there is no token of @{BOT}" in text


async def test_without_a_channel_or_with_half_a_one_the_test_says_what_is_missing(
    site: Site, hands: Commands
) -> None:
    assert (
        "no channel is set"
        in (await asyncio.to_thread(lambda: hands("alerts", "test", code=EXIT_CONFIG))).err
    )
    hands.set(alert_email="ops@example.com")
    assert (
        "TRILHA_SMTP_URL" in (await asyncio.to_thread(lambda: hands("alerts", "test", code=EXIT_CONFIG))).err
    )


async def test_a_worker_does_not_start_with_rules_that_nobody_knows_and_leaves_the_spools_to_another(
    site: Site,
) -> None:
    wrong = site.settings.model_copy(update={"alerts_off": ("nothing",)})
    with pytest.raises(ConfigError, match="TRILHA_ALERTS_OFF"):
        await work(wrong, SystemClock(), asyncio.Event())
    await hold(site)
    metrics = Metrics()
    await working(
        site, lambda: 'trilha_alert_firing{rule="lane_held"} 1.0' in metrics.render().decode(), metrics
    )


def test_rules_and_prometheus_show_the_bounds_in_force(hands_at_home: Commands, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("[unsent_age]\nbound = 4321\n")
    hands_at_home.set(alert_rules=str(tmp_path / "rules.toml"), alerts_off="match_rate")
    rules = {item["rule"]: item for item in json.loads(hands_at_home("alerts", "rules", "--json").out)}
    assert rules["unsent_age"]["bound"] == 4321
    assert "match_rate" not in rules
    assert "unsent_age" in hands_at_home("alerts", "rules").out
    assert "trilha_delivery_oldest_seconds > 4321" in hands_at_home("alerts", "prometheus").out
    assert "match_rate" not in json.loads(hands_at_home("alerts", "prometheus", "--json").out)


@pytest.fixture
def hands_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Commands:
    return Commands(monkeypatch, capsys, home_dir=str(tmp_path / "var"))
