"""For how long clicks were not visible is read off the daemons' counters."""

from __future__ import annotations

from chaos.figures.visible import Stretch, since


def seen(*visible: float, clicks: float = 10, every: float = 0.5) -> list[Stretch]:
    """Looks after the fault at second 0; the one that it fell into comes first."""
    return [
        Stretch(until=every * (number + 1), clicks=clicks, visible=each)
        for number, each in enumerate((10.0, *visible))
    ]


def test_all_visible_all_the_time_is_nothing() -> None:
    assert since(0.0, seen(10, 10, 10)) == {
        "visible_again_s": 0.0,
        "visible_all_s": 0.0,
        "hidden_percent": 0.0,
    }


def test_the_first_visible_click_and_the_first_whole_second_are_told_apart() -> None:
    assert since(0.0, seen(0, 0, 5, 10, 5, 10, 10, 10)) == {
        "visible_again_s": 2.0,
        "visible_all_s": 3.0,
        "hidden_percent": 60.0,
    }


def test_what_never_came_back_is_not_measurable() -> None:
    assert since(0.0, seen(0, 0, 0)) == {
        "visible_again_s": None,
        "visible_all_s": None,
        "hidden_percent": 100.0,
    }
