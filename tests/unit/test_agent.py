"""User agents: paid visitors are never taken for robots, and robots that name themselves are seen."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.enrich.agent import MAX_NAME, MAX_USER_AGENT, Agents, _short
from daemon.enrich.names import APPS, LIBRARIES, ROBOTS
from domain.enrichment import Agent
from tests.agents import PROGRAMS, kind_of, labelled, score

AGENTS = Agents()
LINES = labelled()
IN_APP = [line for line in LINES if line.label == "in_app"]
# Words that steer the reading, to make texts of that a plain alphabet would never hold.
WORDS = st.sampled_from(
    [
        *(
            "Mozilla/5.0 ",
            "(Linux; Android 13; ",
            "; wv) ",
            "Chrome/",
            "Instagram ",
            "[FB_IAB/",
            "FBAV/",
            "CUBOT",
        ),
        *("iPhone", "Safari/", "\x00", "\ud800", "(", ")", "/", ".", "9"),
    ]
)
TEXTS = st.text() | st.lists(WORDS | st.text(max_size=5), max_size=60).map("".join)


def test_the_set_is_large_distinct_and_covers_every_kind() -> None:
    assert len({line.agent for line in LINES}) == len(LINES) >= 320
    assert len(IN_APP) >= 80
    assert {line.label for line in LINES} == {"in_app", "human"} | PROGRAMS
    assert {line.part for line in LINES} == {"first", "held-out"}


@pytest.mark.parametrize("line", IN_APP, ids=lambda line: f"{line.family}-{line.os}")
def test_no_browser_of_an_app_is_taken_for_a_program(line) -> None:
    assert kind_of(AGENTS, line.agent) == "in_app"


def test_what_is_expected_of_each_agent_is_read_from_it() -> None:
    wrong = [
        (line.agent, field, getattr(agent, field), wanted)
        for line in LINES
        for agent in [AGENTS.of(line.agent)]
        for field in ("app", "os", "browser", "device")
        if (wanted := getattr(line, field)) != "-" and getattr(agent, field) != wanted
    ]
    assert not wrong


@pytest.mark.parametrize("part", ["first", "held-out"])
def test_programs_are_seen_and_people_are_not_flagged(part: str) -> None:
    measured = score(lambda agent: kind_of(AGENTS, agent) in PROGRAMS, [x for x in LINES if x.part == part])
    assert measured.recall >= 0.98
    assert measured.human_precision >= 0.995
    assert measured.flagged == 0


def test_phones_whose_name_ends_in_bot_are_phones() -> None:
    phones = [line for line in LINES if line.family == "cubot"]
    assert len({line.agent for line in phones}) >= 15
    assert {kind_of(AGENTS, line.agent) for line in phones} <= {"human", "in_app"}


def test_instagram_on_android_is_instagram_and_not_chrome() -> None:
    found = [AGENTS.of(x.agent) for x in LINES if x.family == "instagram" and x.os == "Android"]
    assert len(found) >= 10
    assert {(agent.app, agent.browser) for agent in found} == {("Instagram", "Instagram")}


def test_a_robot_that_names_itself_is_one_also_in_the_clothes_of_an_app() -> None:
    for line in LINES:
        if line.family == "crafted":
            assert AGENTS.of(line.agent).automation == "preview"


def test_a_library_beside_an_app_is_that_app_and_alone_a_tool() -> None:
    assert AGENTS.of("okhttp/4.12.0").automation == "tool"
    assert AGENTS.of("Instagram 309.0.0.40.113 Android (33/13; pt_BR) okhttp/4.12.0").app == "Instagram"


def test_only_the_major_version_is_kept() -> None:
    agent = AGENTS.of(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Mobile/15E148 Instagram 327.0.9.25.89 (iPhone14,5; iOS 17_4_1; pt_BR; pt; scale=3.00; 1170x2532; 585443131)"
    )
    assert agent == Agent("phone", "iOS", "17", "Instagram", "327", "Instagram")


def test_nothing_is_read_from_an_empty_agent() -> None:
    assert AGENTS.of("") == Agent()


def test_what_comes_after_the_first_1024_characters_is_not_read() -> None:
    assert AGENTS.of("x y " * 256 + "Googlebot/2.1").robot != "Googlebot"
    assert len("x y " * 256) == MAX_USER_AGENT


def test_an_agent_that_came_before_is_remembered_and_memory_is_bounded() -> None:
    agents = Agents(remembered=2)
    for text in ("curl/1", "curl/2", "curl/1", "curl/3"):
        agents.of(text)
    info = agents._remembered.cache_info()
    assert (info.hits, info.misses, info.currsize) == (1, 3, 2)


def test_a_name_is_cropped_to_40_printable_characters_and_none_when_nothing_is_left() -> None:
    assert _short("a\x00b\u2028" * 30) == "ab" * 20
    assert _short(" \x00 ") is None


@settings(max_examples=400, deadline=500)
@given(TEXTS)
def test_any_text_gives_an_agent_of_short_printable_names_in_bounded_time(text: str) -> None:
    agent = AGENTS.of(text)
    for value in (agent.os, agent.browser, agent.app, agent.robot):
        assert value is None or (0 < len(value) <= MAX_NAME and value.isprintable())
    for version in (agent.os_version, agent.browser_version):
        assert version is None or (version.isascii() and version.isdigit() and len(version) <= 6)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        " ",
        "(",
        "()",
        "1.",
        "Mozilla/5.0 (",
        "; a",
        "-a",
        "bot",
        " Chrome/1",
        "Instagram ",
        "a.com|",
        "/1",
        "Android;",
    ],
)
def test_no_text_makes_the_reading_slow(piece: str) -> None:
    for start in (
        "",
        "Mozilla/5.0 (Linux; Android 1;",
        "Mozilla/5.0 (X11; Linux a) AppleWebKit/1 (KHTML, like Gecko)",
    ):
        text = (start + piece * MAX_USER_AGENT)[:MAX_USER_AGENT]
        took = []
        for _ in range(3):
            began = perf_counter()
            AGENTS._read(text)
            took.append(perf_counter() - began)
        assert min(took) < 0.05


def test_names_are_looked_for_at_their_place_only() -> None:
    assert ROBOTS.first_in("mozilla/5.0 whatsapp/2.2") is None
    assert ROBOTS.first_in("whatsapp/2.2") is not None
    assert APPS.first_in("an instagram reader") is None
    assert APPS.first_in("an instagram reader instagram 3") is not None
    assert LIBRARIES.first_in("mozilla/5.0 chrome/1") is None
