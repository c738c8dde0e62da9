"""What becomes of an alert: never told twice, always over in the end, and no flapping."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alerts.judge import CALM_MS, HOUR_MS, LONGEST_QUIET_MS, QUIET_MS, judge, quiet_ms
from analytics.alerts.rules import Rule, Words
from domain.alerts import AlertState, Kind

NOW = 1_800_000_000_000
STEP = 30_000
WORDS = Words(title="t", do="d")
RULE = Rule(
    name="unsent_age", measure="unsent", subject="lane", unit="seconds", bound=10, clear=5, holds_for=60,
    remind=4, severity="warn", expr="x > $bound", en=WORDS, pt=WORDS,
)  # fmt: skip


class Story:
    """One alert over time, a pass every half minute."""

    def __init__(self, rule: Rule = RULE) -> None:
        self.rule, self.state, self.now_ms = rule, None, NOW
        self.told: list[tuple[int, Kind]] = []

    state: AlertState | None

    def goes(self, *values: float) -> list[Kind]:
        """What is told while these are measured."""
        before = len(self.told)
        for value in values:
            verdict = judge(self.rule, value, self.state, self.now_ms)
            if verdict.notice:
                self.told.append((self.now_ms, verdict.notice))
            self.state = verdict.state
            self.now_ms += STEP
        return [kind for _, kind in self.told[before:]]


def test_what_is_above_its_bound_fires_once_it_has_held_for_long_enough() -> None:
    story = Story()
    assert story.goes(11, 11) == []
    assert story.state is not None
    assert story.state.phase == "pending"
    assert story.goes(11) == ["firing"]
    assert story.state.since_ms == NOW
    assert story.state.fired_ms == NOW + 60_000
    assert story.goes(*[11] * 50) == []


def test_the_bound_itself_is_not_above_it() -> None:
    assert Story().goes(*[10] * 10) == []


def test_what_ends_before_it_has_held_is_forgotten() -> None:
    story = Story()
    assert story.goes(11, 11, 10) == []
    assert story.state is None


def test_a_rule_without_a_time_to_hold_fires_at_once() -> None:
    assert Story(replace(RULE, holds_for=0)).goes(11) == ["firing"]


def test_it_is_over_once_when_it_has_been_clear_for_long_enough() -> None:
    story = Story()
    story.goes(11, 11, 11)
    assert story.goes(5, 5, 5, 5) == []
    assert story.goes(5, 5, 5, 5, 5) == ["resolved"]
    assert story.state is not None
    assert story.state.phase == "resolved"


def test_between_clear_and_bound_it_goes_on() -> None:
    story = Story()
    story.goes(11, 11, 11)
    assert story.goes(*[6] * 100) == []
    assert story.state is not None
    assert story.state.phase == "firing"


def test_a_reminder_comes_each_time_its_hours_are_over() -> None:
    story = Story()
    hours = 9
    assert story.goes(*[11] * (hours * 120)) == ["firing", "reminder", "reminder"]
    (first, _), (second, _), (third, _) = story.told
    assert second - first == third - second == RULE.remind * HOUR_MS


def test_a_moment_of_peace_is_no_end() -> None:
    story = Story()
    story.goes(11, 11, 11)
    assert story.goes(*[0, 11] * 50) == []


def test_what_comes_back_at_once_has_to_be_over_for_twice_as_long_each_time() -> None:
    story = Story(replace(RULE, holds_for=0))
    lengths = []
    for _ in range(7):
        assert story.goes(11) == ["firing"]
        began = story.now_ms
        while not story.goes(0):
            pass
        lengths.append(story.now_ms - STEP - began)
    assert lengths[:3] == [QUIET_MS, 2 * QUIET_MS, 4 * QUIET_MS]
    assert lengths[-1] == LONGEST_QUIET_MS


def test_after_a_calm_time_nothing_is_known_of_its_flapping() -> None:
    story = Story(replace(RULE, holds_for=0))
    story.goes(11, *[0] * 10)
    story.now_ms += CALM_MS
    story.goes(11)
    assert story.state is not None
    assert story.state.flaps == 0


values = st.lists(st.sampled_from([0.0, 5.0, 6.0, 10.0, 11.0, 1e9]), max_size=400)
rules = st.builds(
    lambda holds, clear, remind: replace(RULE, holds_for=holds, clear=clear, remind=remind),
    st.sampled_from([0, 30, 60, 600]),
    st.sampled_from([0, 5, 10]),
    st.sampled_from([0.05, 1, 24]),
)


@given(rules, values)
def test_nothing_is_told_twice_and_every_firing_is_followed_by_one_end(rule: Rule, seen: list[float]) -> None:
    story = Story(rule)
    story.goes(*seen)
    without_reminders = [kind for _, kind in story.told if kind != "reminder"]
    assert without_reminders == (["firing", "resolved"] * len(seen))[: len(without_reminders)]


@given(rules, values)
def test_once_the_condition_is_over_for_good_so_is_the_alert(rule: Rule, seen: list[float]) -> None:
    story = Story(rule)
    story.goes(*seen, *[0.0] * (LONGEST_QUIET_MS // STEP + 2))
    assert story.state is None or story.state.phase == "resolved"
    fired = [kind for _, kind in story.told].count("firing")
    assert [kind for _, kind in story.told].count("resolved") == fired


@given(rules, values)
def test_reminders_are_never_closer_together_than_the_rule_says(rule: Rule, seen: list[float]) -> None:
    story = Story(rule)
    story.goes(*seen)
    for (earlier, _), (later, kind) in zip(story.told, story.told[1:], strict=False):
        if kind == "reminder":
            assert later - earlier >= rule.remind * HOUR_MS


@given(values)
def test_however_it_flaps_a_day_brings_few_messages(seen: list[float]) -> None:
    story = Story(replace(RULE, holds_for=0, remind=1000))
    pattern = seen or [11.0]
    while story.now_ms < NOW + 24 * HOUR_MS:
        story.goes(*pattern)
    # 2, 4, 8 … minutes, then an hour each: at most 5 + 24 ends, and as many beginnings.
    assert len(story.told) <= 2 * 29


@given(rules, values)
def test_a_state_goes_on_from_where_it_was_written_down(rule: Rule, seen: list[float]) -> None:
    """The same is told whether one worker judges all the time, or each pass is another's."""
    story, stories = Story(rule), []
    story.goes(*seen)
    state: AlertState | None = None
    for number, value in enumerate(seen):
        fresh = Story(rule)
        fresh.state, fresh.now_ms = state, NOW + number * STEP
        fresh.goes(value)
        stories += fresh.told
        state = fresh.state
    assert stories == story.told


@pytest.mark.parametrize(("flaps", "minutes"), [(0, 2), (1, 4), (4, 32), (5, 60), (1000, 60)])
def test_the_quiet_that_is_asked_for_has_an_end(flaps: int, minutes: int) -> None:
    assert quiet_ms(replace(RULE, holds_for=0), flaps) == minutes * 60_000
