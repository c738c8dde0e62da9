"""What doctor says of bots: a sentence for each that is not well, with the command that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.bot_facts import BotFacts
from cli.doctor_bots import of_health, of_links, of_settings, of_tokens, of_workers
from domain.accounts import BotStatus
from domain.clock import ManualClock
from domain.links import Bot, BotHealth, Link, Member
from privacy.bot_tokens import BotTokens
from privacy.keyring import Keyring
from runtime.settings import load_settings
from tests.making import NOW

MINUTE = 60_000
TOKEN = "7012345678:AAF4f_k3-Zp9QwErTyUiOpAsDfGhJkLzXcV"
WELL = {"worker": "w1", "worker_until_ms": NOW + 1, "heard_at_ms": NOW, "checked_at_ms": NOW}


def a_bot(number: int = 1, health: BotHealth = "ok", webhook_key: str | None = None) -> Bot:
    return Bot(id=number, username=f"bot_{number}", health=health, webhook_key=webhook_key)


def a_link(slug: str, *bots: Bot, paused: bool = False) -> Link:
    return Link(id=1, slug=slug, name=slug, pool=tuple(Member(bot=bot) for bot in bots), paused=paused)


def facts(bot: Bot, *links: Link, in_file: bool = False, has_token: bool = True, **changes: Any) -> BotFacts:
    """A bot with a worker that has heard something just now."""
    status = BotStatus(bot=bot, telegram_id=None, has_token=has_token, health_at_ms=None, **(WELL | changes))
    return BotFacts(status=status, links=links, in_file=in_file)


def test_a_link_all_of_whose_bots_are_unfit_is_a_failure_and_no_other() -> None:
    banned, fit = a_bot(1, "banned"), a_bot(2, "unknown")
    dead, alive = a_link("dead", banned, a_bot(3, "revoked")), a_link("alive", banned, fit)
    paused = a_link("paused", banned, paused=True)
    said = list(of_links([facts(banned, dead, alive, paused), facts(fit, alive)]))
    assert said == [("failed", "no bot of the link dead can be reached")]


@pytest.mark.parametrize(
    ("health", "words"),
    [
        ("banned", "@bot_1 is banned: take it out of promo with: trilha link pool-remove SLUG --bot bot_1"),
        ("revoked", "BotFather, then run: trilha bot-account token bot_1 --token-file -"),
        ("renamed", "trilha bot-account renamed bot_1 NEW"),
    ],
)
def test_an_unfit_bot_is_named_with_what_to_do(health: BotHealth, words: str) -> None:
    bot = a_bot(1, health)
    [(verdict, text)] = of_health(
        [facts(bot, a_link("promo", bot)), facts(a_bot(2)), facts(a_bot(3, "unknown"))]
    )
    assert verdict == "warning"
    assert words in text


def test_a_banned_bot_that_was_taken_out_of_its_pools_is_no_trouble_any_more() -> None:
    assert not list(of_health([facts(a_bot(1, "banned"))]))


def test_a_revoked_token_that_stands_in_the_file_is_mended_in_the_file() -> None:
    [(_, text)] = of_health([facts(a_bot(1, "revoked"), in_file=True)])
    assert "TRILHA_BOT_TOKENS_FILE" in text
    assert "trilha bot-account recheck bot_1" in text


@pytest.mark.parametrize("lease", [{"worker": None, "worker_until_ms": None}, {"worker_until_ms": NOW}])
def test_a_bot_with_a_token_and_no_worker_is_named(lease: dict[str, Any]) -> None:
    for where in ({"has_token": True}, {"has_token": False, "in_file": True}):
        [(verdict, text)] = of_workers([facts(a_bot(), **where, **lease)], NOW)
        assert (verdict, text) == ("warning", "no worker is @bot_1. Is `trilha bot` running?")


def test_no_worker_is_asked_for_where_another_program_is_the_bot_or_the_bot_is_unfit() -> None:
    gone: dict[str, Any] = {"worker": None, "worker_until_ms": None}
    others = [facts(a_bot(webhook_key="00"), has_token=False, **gone), facts(a_bot(1, "banned"), **gone)]
    assert not list(of_workers(others, NOW))


def test_ten_minutes_without_a_word_or_a_check_are_a_warning_and_one_of_the_two_is_enough() -> None:
    late = NOW - 10 * MINUTE - 1
    [(verdict, text)] = of_workers([facts(a_bot(), heard_at_ms=late, checked_at_ms=late)], NOW)
    assert verdict == "warning"
    assert "has not heard from Telegram for 10 minutes" in text
    for well in ({"heard_at_ms": late}, {"checked_at_ms": late}, {"heard_at_ms": None}):
        assert not list(of_workers([facts(a_bot(), **well)], NOW))
    [(_, text)] = of_workers([facts(a_bot(), heard_at_ms=None, checked_at_ms=None)], NOW)
    assert "not heard from Telegram yet" in text


def test_a_webhook_beside_a_worker_is_a_warning() -> None:
    [(verdict, text)] = of_workers([facts(a_bot(webhook_key="00"))], NOW)
    assert verdict == "warning"
    assert "trilha bot-account webhook bot_1 --off" in text


def test_a_sealed_token_that_does_not_open_is_a_failure_unless_the_file_has_one(tmp_path: Path) -> None:
    ring, other = (
        Keyring.create(tmp_path / name / "keyring.json", ManualClock(now_ms=NOW)) for name in ("one", "two")
    )
    sealed = {1: BotTokens(other).seal(TOKEN, 1), 2: BotTokens(ring).seal(TOKEN, 2)}
    well = facts(a_bot(2))
    [(verdict, text)] = of_tokens([facts(a_bot(1)), well], sealed, ring)
    assert verdict == "failed"
    assert "trilha bot-account token bot_1" in text
    assert not list(of_tokens([facts(a_bot(1), in_file=True), well], sealed, ring))


def test_a_worker_needs_an_api_id_and_an_api_hash_once_there_is_a_token(tmp_path: Path) -> None:
    home, given = tmp_path / "secrets", {"TRILHA_HOME_DIR": str(tmp_path)}
    assert not list(of_settings([facts(a_bot(), has_token=False)], load_settings(given)))
    said = list(of_settings([facts(a_bot())], load_settings(given)))
    assert [verdict for verdict, _ in said] == ["failed", "failed"]
    assert "my.telegram.org" in said[0][1]
    assert "api_hash" in said[1][1]
    home.mkdir()
    (home / "telegram-api-hash").write_text("0123456789abcdef" * 2)
    (home / "telegram-api-hash").chmod(0o600)
    assert not list(of_settings([facts(a_bot())], load_settings(given | {"TRILHA_TELEGRAM_API_ID": "7"})))
