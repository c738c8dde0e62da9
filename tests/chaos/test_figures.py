"""Figures of a drill from made-up answers, samples and log lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from chaos.crowd.told import Clicked, Notebook, Told
from chaos.figures.breakers import Turn, detected, openings, recovered, turns
from chaos.figures.measure import first_calm
from chaos.figures.phases import phase, quantile
from chaos.figures.promises import STANDARD, broken_words, kept_or_not, standard_with
from chaos.figures.timeline import timeline, total
from chaos.watch import Sample, sample_of

METRICS = """\
# TYPE trilha_receipts counter
trilha_receipts_total{durability="synced",visible="yes"} 90.0
trilha_receipts_total{durability="synced",visible="no"} 8.0
trilha_receipts_total{durability="token_only",visible="no"} 2.0
trilha_breaker{tier="redis"} 2.0
trilha_spool_entries 12.0
trilha_ring_waiting 1.0
"""


def click(at: float, ms: float, status: int = 302) -> Clicked:
    return Clicked(number=0, at=at, ms=ms, late_ms=0.0, status=status, token="t" if status == 302 else "")


def sample(at: float, synced: float, *, daemon: int = 0, redis: float = 0, backlog: float = 0) -> Sample:
    return Sample(
        at=at,
        daemon=daemon,
        receipts={"synced": synced, "written": 0.0, "token_only": 0.0},
        visible=0.0,
        breakers={"redis": redis},
        backlog=backlog,
        ring=0.0,
    )


def test_a_quantile_is_the_value_that_so_many_do_not_exceed() -> None:
    values = [float(n) for n in range(1, 1001)]
    assert [quantile(values, share) for share in (0.5, 0.99, 0.999, 1.0)] == [500.0, 990.0, 999.0, 1000.0]
    assert quantile([], 0.5) == 0.0
    assert quantile([7.0], 0.999) == 7.0


def test_a_phase_has_the_visits_that_were_meant_for_it_and_no_latency_of_those_unanswered() -> None:
    clicks = [
        click(9.9, 1.0),
        click(10.0, 2.0),
        click(10.5, 40.0, 404),
        click(10.6, 10_000.0, 0),
        click(11, 3.0),
    ]
    found = phase("fault", clicks, 0.0, 1.0, 10.0)
    assert (found.asked, found.answered, found.non_302, found.errors) == (3, 2, 1, 1)
    assert (found.p50_ms, found.max_ms) == (2.0, 40.0)


def test_turns_of_breakers_are_read_from_a_log_among_other_lines() -> None:
    at = datetime(2026, 5, 4, 12, 0, 0, 250_000, tzinfo=UTC)
    lines = [
        json.dumps({"event": "trilha serve is ready"}),
        json.dumps(
            {"event": "breaker opened", "tier": "redis", "timestamp": at.isoformat().replace("+00:00", "Z")}
        ),
    ]
    assert turns(lines) == [Turn(at=at.timestamp(), tier="redis", to="open")]


def test_detection_is_the_first_breaker_that_opened_since_the_fault() -> None:
    found = [
        Turn(at=9.0, tier="sql", to="open"),
        Turn(at=9.5, tier="sql", to="closed"),
        Turn(at=10.08, tier="redis", to="open"),
    ]
    assert detected(found, 10.0) == 80.0
    assert detected(found, 10.1) == 0.0, "it was open when that fault came"
    assert detected(found[:2], 10.0) is None
    assert (openings(found, 8.0), openings(found, 10.0), openings(found, 10.1)) == (2, 1, 0)


def test_recovery_is_the_last_breaker_that_closed_and_none_while_one_is_open() -> None:
    found = [
        Turn(at=10.0, tier="redis", to="open"),
        Turn(at=16.5, tier="redis", to="closed"),
        Turn(at=10.0, tier="sql", to="open"),
        Turn(at=17.25, tier="sql", to="closed"),
    ]
    assert recovered(found, 15.0) == 2.25
    assert recovered(found[:-1], 15.0) is None
    assert recovered([], 15.0) == 0.0


def test_settled_is_when_the_backlog_was_over_the_usual_for_the_last_time() -> None:
    assert first_calm([(10.0, 500.0), (11.0, 300.0), (12.0, 4.0), (13.0, 5.0)], 5.0, 9.5) == 2.5
    assert first_calm([(10.0, 3.0)], 5.0, 9.5) == 0.0
    assert first_calm([(10.0, 500.0)], 5.0, 9.5) is None


def test_metrics_are_read_as_they_are_printed() -> None:
    found = sample_of(METRICS, 1.5)
    assert found.receipts == {"synced": 98.0, "written": 0.0, "token_only": 2.0}
    assert (found.visible, found.breakers) == (90.0, {"redis": 2.0})
    assert (found.backlog, found.ring) == (12.0, 1.0)


def test_a_counter_that_fell_belongs_to_a_new_process_and_nothing_is_counted_twice() -> None:
    samples = [sample(1.0, 100.0), sample(2.0, 150.0), sample(3.0, 20.0), sample(3.0, 7.0, daemon=1)]
    assert total(samples, lambda each: each.receipts["synced"]) == 177.0


def test_the_timeline_has_a_step_each_and_gaps_where_nothing_was_known() -> None:
    clicks = [click(0.1, 2.0), click(0.1, 4.0), click(0.3, 9.0, 0)]
    found = timeline(clicks, [sample(0.1, 10.0), sample(0.3, 20.0, redis=2, backlog=3)], 0.0, 0.75)
    assert found["rate"] == [8.0, 0.0, 0.0]
    assert found["errors"] == [0.0, 4.0, 0.0]
    assert found["max_ms"] == [4.0, None, None]
    assert found["breakers"] == {"redis": [0, 2, None]}
    assert found["backlog"] == [0, 3, None]
    assert found["synced"] == [0.0, 40.0, 0.0]
    assert {len(column) for name, column in found.items() if isinstance(column, list)} == {3}


def test_a_long_drill_has_no_more_steps_than_can_be_drawn() -> None:
    found = timeline([], [], 0.0, 3600.0)
    assert len(found["rate"]) <= 600
    assert found["step_s"] * len(found["rate"]) >= 3600.0


def test_a_promise_is_kept_at_its_bound_and_latency_on_top_of_what_the_machine_stalls() -> None:
    figures = dict.fromkeys(STANDARD, 0) | {"p999_ms": 64.0, "stall_ms": 5.0, "detect_ms": None}
    kept = {each["name"]: each["held"] for each in kept_or_not(standard_with({"detect_ms": 100}), figures)}
    assert [name for name, held in kept.items() if not held] == ["detect_ms"]
    figures["stall_ms"] = 3.0
    broken = [each for each in kept_or_not(standard_with({}), figures) if not each["held"]]
    assert [broken_words(each) for each in broken] == [
        "the slowest redirect in a thousand: 64 ms, allowed 60 ms"
    ]


def test_an_experiment_may_promise_less_or_more() -> None:
    assert "errors" not in standard_with({"errors": None})
    assert standard_with({"p999_ms": 90})["p999_ms"] == 90


def test_what_was_told_is_read_back_and_half_a_line_is_not_there_yet(tmp_path) -> None:
    notebook = Notebook(tmp_path / "told")
    notebook.clicked(click(1.0, 2.0))
    notebook.close()
    with (tmp_path / "told").open("a") as file:
        file.write('["click",{"number":')
    assert Told.read(tmp_path / "told").clicks == [click(1.0, 2.0)]
    assert Told.read(tmp_path / "nothing").clicks == []
