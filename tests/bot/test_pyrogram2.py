"""The worker on Pyrogram 2.0.106: it does what it does on kurigram, and these are the differences that are expected."""

from __future__ import annotations

import pytest

from tests.telegram.old_library import is_there, suite_on_pyrogram2

TROUBLE = "tests/bot/test_trouble.py::"
# Everything that a person sees, and each trouble in which the library's connections or sessions have a part.
MATTERS = [
    "tests/bot/test_worker.py",
    f"{TROUBLE}test_a_flood_wait_is_obeyed_and_the_answer_comes_late_and_once",
    f"{TROUBLE}test_an_answer_whose_receipt_is_lost_is_not_sent_twice",
    f"{TROUBLE}test_a_connection_that_drops_again_and_again_loses_no_start",
    f"{TROUBLE}test_updates_that_were_never_pushed_are_asked_for",
    f"{TROUBLE}test_silence_is_not_believed",
    f"{TROUBLE}test_a_frozen_telegram_is_left_and_found_again",
    f"{TROUBLE}test_a_session_whose_key_telegram_no_longer_has_is_begun_anew",
    f"{TROUBLE}test_starts_of_ten_minutes_of_downtime_are_all_handled",
    f"{TROUBLE}test_a_kill_makes_starts_come_again_and_never_go",
]
# By the names of the tests in pyrogram2_differences.py. docs/how-to/bot-accounts.md tells them to operators.
DIFFERENCES = {
    "test_alone_it_never_asks_for_what_a_downtime_missed": "It keeps no number of updates. The worker counts itself.",
    "test_alone_it_never_asks_for_what_was_not_pushed": "It does not look at numbers. The worker does.",
    "test_a_server_of_ones_own_is_that_of_the_whole_process": "It has no option for the connection of one client.",
    "test_it_speaks_an_older_layer": "It is of 2023. What the worker asks for is in both layers.",
}


def test_the_worker_does_on_pyrogram_2_0_106_what_it_does_on_kurigram() -> None:
    """No start is lost and none is answered twice, whichever of the two is installed."""
    is_there()
    run = suite_on_pyrogram2(*MATTERS)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_differences_are_those_that_are_expected() -> None:
    """None has gone, and none has come that is not listed here."""
    is_there()
    run = suite_on_pyrogram2("tests/bot/pyrogram2_differences.py")
    assert run.returncode == 0, run.stdout + run.stderr
    passed = {line.partition("::")[2].split()[0] for line in run.stdout.splitlines() if " PASSED" in line}
    assert passed == {*DIFFERENCES, "test_the_workers_run_on_it"}


@pytest.mark.parametrize("reason", DIFFERENCES.values())
def test_each_difference_has_a_reason(reason: str) -> None:
    assert reason.endswith(".")
