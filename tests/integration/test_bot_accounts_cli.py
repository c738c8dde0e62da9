"""trilha bot-account and the bots of doctor, as the operator's hands use them: real commands on a real file."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from backends.sql.bot_accounts import SqlBotAccounts
from backends.sql.engine import make_engine
from cli.common import EXIT_CONFIG, EXIT_FAILED
from domain.accounts import Heartbeat
from domain.clock import SystemClock
from domain.links import Bot, BotHealth
from privacy.bot_tokens import BotTokens, HeldToken
from privacy.keyring import Keyring
from tests.commands import Commands
from tests.making import PATIENT

ROOT = Path(__file__).parents[2]
SECRET = "AAF4f_k3-Zp9QwErTyUiOpAsDfGhJkLzXcV"
TOKEN = f"7012345678:{SECRET}"
SECONDS = 60


class Hands:
    """An operator with a home of their own, whose commands run in this process."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.home, self.sql_url = home, f"sqlite+aiosqlite:///{home / 'trilha.db'}"
        self.commands = Commands(patch, capture, home_dir=str(home), sql_url=self.sql_url)
        self("keys", "create")
        self("migrate")

    def __call__(self, *words: str, given: str = "", code: int = 0) -> str:
        """What the command says: on standard output, or of wrong configuration on standard error."""
        said = self.commands(*words, given=given, code=code)
        return said.err if code == EXIT_CONFIG else said.out

    def json(self, *words: str, given: str = "") -> Any:
        return json.loads(self("bot-account", *words, "--json", given=given))

    def doctor(self, *, failed: bool = False) -> str:
        """What it says of bots, after the verdict."""
        # Other parts of this bare home have only warnings: what has failed is the bots.
        found = json.loads(self("doctor", "--json", code=EXIT_FAILED if failed else 0))
        [finding] = [item for item in found if item["check"] == "bots"]
        return f"{finding['verdict']}: {finding['detail']}"

    def worker_says(self, *beats: Heartbeat, lease_ms: int = 60_000) -> None:
        """As the worker of bot 1 does, now."""

        async def work() -> None:
            engine = make_engine(self.sql_url, patience=PATIENT)
            accounts, now_ms = SqlBotAccounts(engine), SystemClock().now_ms()
            await accounts.acquire(1, "worker-1", now_ms=now_ms, until_ms=now_ms + lease_ms)
            for beat in beats:
                await accounts.beat(1, "worker-1", beat, until_ms=now_ms + lease_ms)
            await engine.dispose()

        asyncio.run(work())

    def set_health(self, health: BotHealth) -> None:
        """As a worker does that has seen it."""

        async def work() -> None:
            engine = make_engine(self.sql_url, patience=PATIENT)
            await SqlBotAccounts(engine).put_health(1, health, at_ms=SystemClock().now_ms())
            await engine.dispose()

        asyncio.run(work())

    def token_of(self, bot: Bot) -> HeldToken:
        """As a worker opens it."""

        async def read() -> dict[int, bytes]:
            engine = make_engine(self.sql_url, patience=PATIENT)
            try:
                return await SqlBotAccounts(engine).tokens()
            finally:
                await engine.dispose()

        ring = Keyring(self.home / "secrets" / "keyring.json", SystemClock())
        return BotTokens(ring).of(bot, asyncio.run(read()).get(bot.id))

    def files(self) -> bytes:
        """Every byte under the home: database, its log, key ring."""
        return b"".join(path.read_bytes() for path in self.home.rglob("*") if path.is_file())


@pytest.fixture
def hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hands:
    return Hands(tmp_path / "home", monkeypatch, capsys)


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_token_goes_in_by_standard_input_and_is_seen_nowhere_and_opened_by_a_worker(hands: Hands) -> None:
    """In no argument or environment of the process, no output, no byte of the database, its log or any other file."""
    command = [sys.executable, "-m", "cli.main", "bot-account", "add", "@Shop_Bot", "--token-file", "-"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as reading:
        assert reading.stdin is not None
        reading.stdin.write(TOKEN.encode())
        reading.stdin.flush()
        # It stays until its input ends. The kernel shows its arguments a moment after it has begun.
        process, seen = Path("/proc") / str(reading.pid), b""
        while b"bot-account" not in seen and reading.poll() is None:
            seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        out, _ = reading.communicate(timeout=SECONDS)
    assert reading.returncode == 0, out
    assert b"bot-account" in seen
    assert SECRET.encode() not in seen
    shown = (
        hands("bot-account", "show", "shop_bot") + hands("bot-account", "list") + hands.doctor(failed=True)
    )
    assert "sealed" in shown
    assert hands.token_of(Bot(id=1, username="Shop_Bot")) == HeldToken(source="sealed", token=TOKEN)
    for place in (out, hands.commands.said.encode(), hands.files()):
        assert SECRET.encode() not in place


def test_a_token_is_replaced_from_a_private_file_and_forgotten(hands: Hands, tmp_path: Path) -> None:
    hands("bot-account", "add", "shop_bot")
    path = private(tmp_path / "token", TOKEN + "\n")
    shown = hands.json("token", "shop_bot", "--token-file", str(path))
    assert (shown["token"], shown["telegram_id"]) == ("sealed", 7_012_345_678)
    assert hands.token_of(Bot(id=1, username="shop_bot")).token == TOKEN
    path.chmod(0o644)
    assert "chmod 600" in hands(
        "bot-account", "token", "shop_bot", "--token-file", str(path), code=EXIT_CONFIG
    )
    assert hands.json("token", "shop_bot", "--forget")["token"] == "none"
    assert hands.token_of(Bot(id=1, username="shop_bot")) == HeldToken(source="none")


def test_mistakes_are_refused_in_words_and_register_nothing(hands: Hands) -> None:
    hands("bot-account", "add", "shop_bot", "--token-file", "-", given=TOKEN)
    refused = [
        (("add", "new_bot", "--token-file", "-"), SECRET, "no bot token"),
        (("add", "x y"), "", "not a bot username"),
        (("add", "new_bot", "--token-file", "-"), TOKEN, "renamed shop_bot new_bot"),
        (("add", "new_bot", "--token-file", "/no/such"), "", "cannot be read"),
        (("token", "shop_bot"), "", "either --token-file"),
        (("token", "shop_bot", "--forget", "--token-file", "-"), TOKEN, "either --token-file"),
        (("token", "new_bot", "--forget"), "", "no bot @new_bot"),
        (("show", "new_bot"), "", "trilha bot-account list"),
        (("webhook", "new_bot"), "", "no bot @new_bot"),
        (("renamed", "new_bot", "other_bot"), "", "no bot @new_bot"),
        (("renamed", "shop_bot", "x"), "", "not a bot username"),
        (("recheck", "new_bot"), "", "no bot @new_bot"),
    ]  # fmt: skip
    for words, given, said in refused:
        assert said in hands("bot-account", *words, given=given, code=EXIT_CONFIG)
    assert SECRET not in hands.commands.said
    assert [bot["username"] for bot in hands.json("list")] == ["shop_bot"]


def test_the_list_says_how_each_bot_is_in_the_operators_zone(hands: Hands, tmp_path: Path) -> None:
    """Sao Paulo is three hours behind UTC; the file's token goes before none at all; links count by their pools."""
    hands.commands.set(bot_tokens_file=str(private(tmp_path / "tokens", f"other_bot {TOKEN}\n")))
    assert "no bots yet" in hands("bot-account", "list")
    hands("bot-account", "add", "shop_bot")
    hands("bot-account", "add", "other_bot")
    hands("link", "add", "promo", "--bot", "shop_bot")
    hands.worker_says(Heartbeat(heard_at_ms=1_800_000_000_000, checked_at_ms=1_800_000_001_000))
    hands.set_health("ok")
    shop, other = hands.json("list")
    assert (shop["health"], shop["worker"], shop["links"], shop["token"]) == ("ok", "worker-1", 1, "none")
    assert (shop["heard_at"], shop["pools"]) == ("2027-01-15T08:00:00.000Z", ["promo"])
    assert (other["health"], other["worker"], other["links"], other["token"]) == ("unknown", None, 0, "file")
    table = hands("bot-account", "list")
    assert all(word in table for word in ("@shop_bot", "ok", "2027-01-15", "worker-1", "@other_bot", "file"))
    shown = hands("bot-account", "show", "@SHOP_BOT")
    assert "last checked  2027-01-15 05:00:01 (America/Sao_Paulo)" in shown
    assert "promo" in shown


def test_a_webhooks_secret_is_shown_once_and_kept_as_its_digest(hands: Hands) -> None:
    hands.commands.set(public_url="https://go.example.com")
    hands("bot-account", "add", "shop_bot")
    said = hands("bot-account", "webhook", "shop_bot")
    secret = said.partition("\n")[0]
    assert len(secret) > 40
    assert 'data-urlencode = "url=https://go.example.com/telegram/shop_bot"' in said
    assert secret.encode() not in hands.files()
    assert sha256(secret.encode()).digest() in hands.files()
    again = hands.json("webhook", "shop_bot")
    assert again["secret"] != secret
    assert hands.json("show", "shop_bot")["webhook"] is True
    assert hands.json("webhook", "shop_bot", "--off") == again | {"webhook": False, "secret": None}
    assert hands.json("show", "shop_bot")["webhook"] is False


def test_the_printed_call_gives_curl_nothing_but_its_configuration(hands: Hands, tmp_path: Path) -> None:
    """The shell makes of it what curl reads from its standard input: the token, and the fields Telegram asks for."""
    hands("bot-account", "add", "shop_bot")
    call = hands("bot-account", "webhook", "shop_bot").partition("Tell Telegram:")[2].strip()
    curl = tmp_path / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text('#!/bin/sh\necho "$@"\ncat\n')
    curl.chmod(0o700)
    (tmp_path / "TOKEN_FILE").write_text(TOKEN + "\n")
    path = f"{curl.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-c", call], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=True
    )
    arguments, *configuration = done.stdout.splitlines()
    assert arguments == "-sS --config -"
    assert configuration[0] == f'url = "https://api.telegram.org/bot{TOKEN}/setWebhook"'
    assert configuration[-1] == r'data-urlencode = "allowed_updates=[\"message\",\"my_chat_member\"]"'


def test_a_renamed_bot_is_followed_and_looked_at_again(hands: Hands, tmp_path: Path) -> None:
    hands.commands.set(bot_tokens_file=str(private(tmp_path / "tokens", f"shop_bot {TOKEN}\n")))
    hands("bot-account", "add", "shop_bot")
    hands("bot-account", "webhook", "shop_bot")
    hands("link", "add", "promo", "--bot", "shop_bot")
    hands.set_health("renamed")
    hands("bot-account", "renamed", "shop_bot", "@New_Bot")
    assert "still has the old username" in hands.commands.said
    assert "trilha bot-account webhook New_Bot" in hands.commands.said
    shown = hands.json("show", "new_bot")
    assert (shown["id"], shown["health"], shown["pools"]) == (1, "unknown", ["promo"])
    hands("bot-account", "add", "other_bot")
    assert "another registered bot" in hands(
        "bot-account", "renamed", "new_bot", "Other_Bot", code=EXIT_CONFIG
    )


def test_a_new_token_and_a_recheck_have_the_worker_look_again(hands: Hands) -> None:
    hands("bot-account", "add", "shop_bot")
    hands.set_health("revoked")
    assert hands.json("token", "shop_bot", "--token-file", "-", given=TOKEN)["health"] == "unknown"
    hands.set_health("banned")
    assert hands.json("recheck", "shop_bot")["health"] == "unknown"
    hands.set_health("ok")
    assert hands.json("token", "shop_bot", "--token-file", "-", given=TOKEN)["health"] == "ok"


def test_doctor_goes_from_no_trouble_to_every_trouble_of_a_bot(hands: Hands) -> None:
    hands("bot-account", "add", "shop_bot")
    hands("link", "add", "promo", "--bot", "shop_bot")
    assert hands.doctor() == "ok: 1 registered, 0 with a token here, 0 with a webhook"
    hands("bot-account", "token", "shop_bot", "--token-file", "-", given=TOKEN)
    said = hands.doctor(failed=True)
    assert "failed: no worker is @shop_bot" in said
    assert "TRILHA_TELEGRAM_API_ID is not set" in said
    assert "telegram-api-hash cannot be read" in said
    hands.commands.set(telegram_api_id="12345")
    private(hands.home / "secrets" / "telegram-api-hash", "0123456789abcdef" * 2)
    assert hands.doctor() == "warning: no worker is @shop_bot. Is `trilha bot` running?"
    hands.worker_says(Heartbeat(checked_at_ms=SystemClock().now_ms()))
    assert hands.doctor() == "ok: 1 registered, 1 with a token here, 0 with a webhook"
    hands.set_health("banned")
    said = hands.doctor(failed=True)
    assert "failed: no bot of the link promo can be reached" in said
    assert "trilha link pool-remove SLUG --bot shop_bot" in said


def test_doctor_says_that_a_token_does_not_open_with_the_ring_that_is_here(hands: Hands) -> None:
    hands("bot-account", "add", "shop_bot", "--token-file", "-", given=TOKEN)
    (hands.home / "secrets" / "keyring.json").unlink()
    hands("keys", "create")
    said = hands.doctor(failed=True)
    assert "the token of @shop_bot does not open with this key ring" in said
    assert SECRET not in hands.commands.said
