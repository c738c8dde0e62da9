"""The reference of scores names every signal with its weight and bounds, no other, and figures that can be had again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.enrich import signals
from daemon.enrich.scores import BOT_FROM, FRAUD_FROM
from daemon.enrich.signals import BOT_SIGNALS, FRAUD_SIGNALS, Signal
from tests.simulation.__main__ import CLICKS, SEED, kinds, table

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "scores.md").read_text()


def section(heading: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"\n## {heading}\n")[2], flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize(("heading", "known"), [("Bot", BOT_SIGNALS), ("Fraud", FRAUD_SIGNALS)])
def test_every_signal_is_in_the_reference_with_its_weight_and_no_other(
    heading: str, known: tuple[Signal, ...]
) -> None:
    written = [(row[0].strip("`"), row[1]) for row in rows(section(heading))[1:]]
    assert written == [(signal.name, str(signal.weight)) for signal in known]


def test_the_bounds_of_the_signals_are_those_of_the_reference() -> None:
    said = {row[0].strip("`"): row[2] for row in [*rows(section("Fraud")), *rows(section("Bot"))]}
    assert f"less than {signals.INSTANT_S:g} s " in said["instant_start"]
    assert f"{signals.INSTANT_S:g} s to less than {signals.FAST_S:g} s " in said["fast_start"]
    assert f"more than {signals.BURST} clicks" in said["burst"]
    assert f"more than {signals.HOSTING_BURST} of them" in said["hosting_burst"]
    assert f"{signals.MANY_USERS} people or more" in said["token_of_many"]
    assert f"{signals.SOME_USERS} to {signals.MANY_USERS - 1} people" in said["token_of_some"]
    assert f"{signals.MANY_VISITORS} visitor keys or more" in said["fbclid_of_many"]
    assert f"{signals.SOME_VISITORS} to {signals.MANY_VISITORS - 1} visitor keys" in said["fbclid_of_some"]
    assert f"From {BOT_FROM} points" in PAGE
    assert BOT_FROM == FRAUD_FROM


def test_the_measured_tables_are_what_the_command_prints() -> None:
    """Within 2 in 100: the last digits are the mathematics library's."""
    assert f"{CLICKS:,} clicks, seed {SEED}." in PAGE
    measured = section("Measured, on days that are made up")
    printed = rows(f"{table(number=CLICKS, seed=SEED)}\n{kinds(number=CLICKS, seed=SEED)}")
    written = rows(measured)
    assert [names(row) for row in written] == [names(row) for row in printed]
    for there, here in zip(written, printed, strict=True):
        assert figures(there) == pytest.approx(figures(here), rel=0.02, abs=0.02), here[:3]


def names(row: list[str]) -> list[str]:
    return [cell for cell in row if not re.fullmatch(r"[\d,.]+%?", cell)]


def figures(row: list[str]) -> list[float]:
    return [number(cell) for cell in row if re.fullmatch(r"[\d,.]+%?", cell)]


def number(cell: str) -> float:
    value = float(cell.strip("%").replace(",", ""))
    return value / 100 if cell.endswith("%") else value
