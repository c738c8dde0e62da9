"""Two lines, the owner's and ours; what is late or does not balance is never said to have held."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.thresholds import PhaseFigures, Thresholds, level


def phase(*, p95: float = 10, p99: float = 20, errors: int = 0, requests: int = 1000) -> PhaseFigures:
    return PhaseFigures(requests=requests, errors=errors, latencies={"p95_ms": p95, "p99_ms": p99})


def verdict(*, late: bool = False, books: bool = True, **phases: PhaseFigures) -> str:
    checks = Thresholds.read().checks(phases)  # type: ignore[arg-type]
    return level(checks, late=late, books=books)


def test_the_file_says_what_was_asked_for() -> None:
    given = Thresholds.read()
    assert given.owner == {"error_rate": 0.01, "normal": {"p95_ms": 100}, "spike": {"p95_ms": 500}}
    assert given.ours == {"error_rate": 0.0, "normal": {"p99_ms": 50}, "spike": {"p99_ms": 50}}


def test_what_is_quick_and_without_an_error_holds_both_lines() -> None:
    assert verdict(normal=phase(), spike=phase()) == "held"


@pytest.mark.parametrize(
    "figures", [phase(p99=50), phase(errors=1)], ids=["p99 is not below 50 ms", "one error in a thousand"]
)
def test_what_only_ours_forbids_passes_by_the_owner_s(figures: PhaseFigures) -> None:
    assert verdict(normal=figures) == "owner_only"


@pytest.mark.parametrize(
    "figures", [phase(p95=100), phase(errors=10)], ids=["p95 is not below 100 ms", "one error in a hundred"]
)
def test_what_the_owner_forbids_is_missed(figures: PhaseFigures) -> None:
    assert verdict(normal=figures) == "missed"


def test_a_spike_may_be_slower() -> None:
    assert verdict(normal=phase(), spike=phase(p95=499, p99=499)) == "owner_only"
    assert verdict(normal=phase(), spike=phase(p95=500, p99=500)) == "missed"


def test_errors_are_counted_over_the_whole_run() -> None:
    assert verdict(normal=phase(errors=10), spike=phase(requests=9000)) == "owner_only"


def test_a_late_generator_says_nothing_of_the_server() -> None:
    assert verdict(late=True, normal=phase()) == "not_measurable"


def test_books_that_do_not_balance_outweigh_everything() -> None:
    assert verdict(late=True, books=False, normal=phase()) == "wrong_books"


def test_a_run_in_which_nothing_was_asked_holds_nothing() -> None:
    assert verdict() == "missed"


def test_a_rule_that_is_misspelt_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "thresholds.toml"
    file.write_text(
        "[owner]\nerror_rate = 1\nnormal = { p42_ms = 1 }\n[ours]\n[generator]\nlate_p99_ms = 1\n"
    )
    with pytest.raises(ValueError, match="p42_ms"):
        Thresholds.read(file)
    file.write_text("[owner]\n")
    with pytest.raises(ValueError, match="not understood"):
        Thresholds.read(file)
