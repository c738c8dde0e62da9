"""What is read of Meta's answer about quality."""

from __future__ import annotations

import json
from typing import Any

import pytest

from delivery.meta.quality import MAX_EVENTS, MAX_NAME, EventQuality, read_quality


def page(
    name: str = "Lead", score: Any = 7.1, key: str = "email", percentage: Any = 80, *, times: int = 1
) -> bytes:
    feedback = [{"identifier": key, "coverage": {"percentage": percentage}}]
    event = {
        "event_name": name,
        "event_match_quality": {"composite_score": score, "match_key_feedback": feedback},
    }
    return json.dumps({"web": [event] * times}).encode()


def test_scores_and_coverage_are_read_by_name() -> None:
    assert read_quality(page()) == (EventQuality(event="Lead", score=7.1, coverage={"email": 80.0}),)


@pytest.mark.parametrize("figure", ["nan", "inf", "-inf"])
def test_a_figure_that_is_none_is_left_out(figure: str) -> None:
    assert read_quality(page(score=figure, percentage=figure)) == (EventQuality(event="Lead", score=None),)


def test_names_are_cropped_and_have_nothing_that_a_terminal_obeys_and_there_are_not_too_many() -> None:
    found = read_quality(page("\x1b[2J" + "x" * 500, key="\x1b]0;", times=MAX_EVENTS * 2))
    assert found is not None
    assert len(found) == MAX_EVENTS
    assert found[0].event == (" [2J" + "x" * 500)[:MAX_NAME]
    assert set(found[0].coverage) == {" ]0;"}


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"web": 1}', b"\xff", b"[" * 60_000, b'{"web": [{}]}'])
def test_what_says_nothing_of_quality_is_none(body: bytes) -> None:
    assert read_quality(body) is None
