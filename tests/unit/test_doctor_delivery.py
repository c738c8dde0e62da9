"""What doctor says of delivery: a sentence for each thing that is not well, with the command that mends it."""

from __future__ import annotations

from typing import Any

import pytest

from cli.doctor_delivery import (
    Deliveries,
    of_failures,
    of_holds,
    of_queues,
    of_relay,
    of_settings,
    of_tokens,
    of_warnings,
)
from cli.pixel_facts import PixelFacts
from domain.conversions import UNATTRIBUTED, LaneStatus, meta_lane, webhook_lane
from domain.pixels import Outcome, Pixel, SealedCredentials
from privacy.pixel_tokens import HeldCredentials, TokenState
from runtime.settings import load_settings
from tests.making import NOW

MINUTE = 60_000
HOUR = 60 * MINUTE
PIXEL = "1234567890"
LANE = meta_lane(PIXEL)


def facts(state: TokenState = "sealed", *links: str, pixel: str = PIXEL, **lane: Any) -> PixelFacts:
    return PixelFacts(
        pixel=Pixel(id=pixel, created_at_ms=NOW, sealed=SealedCredentials(), links=links),
        held=HeldCredentials(state=state),
        lane=LaneStatus(lane=meta_lane(pixel), **lane),
    )


def seen(*pixels: PixelFacts, lanes: tuple[LaneStatus, ...] = (), **first_due: int) -> Deliveries:
    every = (*(found.lane for found in pixels), *lanes)
    due = {{"pixel": LANE, "none": UNATTRIBUTED}[name]: at_ms for name, at_ms in first_due.items()}
    return Deliveries(pixels=pixels, lanes=every, first_due=due, failed=())


# ---------------------------------------------------------------- tokens and holds


def test_a_pixel_that_links_use_needs_a_token_and_one_that_nobody_uses_does_not() -> None:
    [(verdict, text)] = of_tokens([facts("none", "verao", "natal"), facts("none"), facts("sealed", "verao")])
    assert verdict == "failed"
    assert f"pixel {PIXEL} of verao, natal has no token" in text
    assert f"trilha pixel token {PIXEL} --token-file -" in text


def test_a_token_that_does_not_open_is_a_failure() -> None:
    [(verdict, text)] = of_tokens([facts("unreadable")])
    assert verdict == "failed"
    assert "does not open with this key ring" in text
    assert "trilha keys import" in text


def test_a_held_lane_is_a_failure_with_its_reason_and_the_way_out() -> None:
    held = {"held_at_ms": NOW, "hold_reason": "session expired", "pending": 7}
    hook = LaneStatus(lane=webhook_lane("crm"), held_at_ms=NOW)
    said = list(of_holds(seen(facts(**held), lanes=(hook, LaneStatus(lane="meta/55555")))))
    assert [verdict for verdict, _ in said] == ["failed", "failed"]
    assert f"{LANE} is held, 7 wait (session expired)" in said[0][1]
    assert f"trilha pixel token {PIXEL} --token-file -" in said[0][1]
    assert said[1][1].startswith("webhook/crm is held, 0 wait (no reason): ")
    assert "trilha webhook add crm --replace --url URL" in said[1][1]


@pytest.mark.parametrize("state", ["none", "unreadable"])
def test_a_lane_that_is_held_for_want_of_a_token_is_said_once(state: TokenState) -> None:
    assert not list(of_holds(seen(facts(state, "verao", held_at_ms=NOW))))


# ---------------------------------------------------------------- what waits


@pytest.mark.parametrize(
    ("age", "verdict"),
    [(2 * HOUR - 1, None), (2 * HOUR, "warning"), (24 * HOUR - 1, "warning"), (24 * HOUR, "failed")],
)
def test_what_waits_for_two_hours_is_a_warning_and_for_a_day_a_failure(age: int, verdict: str | None) -> None:
    said = list(of_queues([LaneStatus(lane=LANE, pending=3, oldest_at_ms=NOW - age)], NOW))
    assert [found for found, _ in said] == ([verdict] if verdict else [])
    assert all(text.startswith(f"{LANE}: 3 wait, the oldest for {age // HOUR} hours") for _, text in said)
    # Without --since it would show what has happened in a day only, and not what it speaks of.
    assert all(text.endswith("trilha outbox list --state pending --since 7d") for _, text in said)


def test_of_a_held_lane_and_of_what_has_no_click_yet_nothing_is_late() -> None:
    old = NOW - 48 * HOUR
    held = LaneStatus(lane=LANE, pending=1, oldest_at_ms=old, held_at_ms=NOW)
    assert not list(of_queues([held, LaneStatus(lane=UNATTRIBUTED, pending=1, oldest_at_ms=old)], NOW))


@pytest.mark.parametrize("name", ["pixel", "none"])
def test_what_is_due_for_ten_minutes_while_nothing_moves_asks_for_the_worker(name: str) -> None:
    late = NOW - 10 * MINUTE - 1
    [(verdict, text)] = of_relay(seen(facts(), **{name: late}), NOW)
    assert verdict == "warning"
    assert text == "conversions are due for 10 minutes and nothing moves: is `trilha work` running?"
    assert not list(of_relay(seen(facts(), **{name: late + 1}), NOW))


def test_a_queue_that_is_being_worked_off_or_is_held_asks_for_no_worker() -> None:
    late = NOW - HOUR
    other = LaneStatus(lane=webhook_lane("crm"), sent_at_ms=NOW - 10 * MINUTE)
    assert not list(of_relay(seen(facts(), lanes=(other,), pixel=late), NOW))
    assert not list(of_relay(seen(facts(held_at_ms=NOW), pixel=late), NOW))
    assert list(of_relay(seen(facts(sent_at_ms=NOW - 11 * MINUTE), pixel=late), NOW))


# ---------------------------------------------------------------- what has failed, and what is set


def test_what_was_given_up_is_a_warning_with_the_reason_of_most_of_it() -> None:
    rejected = Outcome(lane=LANE, state="rejected", reason="not hashed", count=2)
    dead = Outcome(lane=webhook_lane("crm"), state="dead", reason="too late", count=3)
    [(verdict, text)] = of_failures([rejected, dead])
    assert verdict == "warning"
    assert text.startswith("2 rejected and 3 dead in 24 hours, mostly webhook/crm: too late")
    assert "trilha outbox dead-letters" in text
    assert not list(of_failures([]))


def test_what_a_destination_warns_of_is_a_warning() -> None:
    lanes = [LaneStatus(lane=LANE, warning="v26.0 ends soon"), LaneStatus(lane="meta/55555")]
    assert list(of_warnings(lanes)) == [("warning", f"{LANE} warns: v26.0 ends soon")]


@pytest.mark.parametrize("url", [None, "http://go.example.com"])
def test_a_pixel_in_use_needs_a_public_url_that_is_https(url: str | None) -> None:
    given = load_settings({} if url is None else {"TRILHA_PUBLIC_URL": url})
    [(verdict, text)] = of_settings([facts("sealed", "verao")], given)
    assert verdict == "warning"
    assert "TRILHA_PUBLIC_URL" in text
    assert not list(of_settings([], given))
    https = load_settings({"TRILHA_PUBLIC_URL": "https://go.example.com"})
    assert not list(of_settings([facts("sealed", "verao")], https))
