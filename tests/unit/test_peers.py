"""Metrics of several processes as one page."""

from __future__ import annotations

from daemon.peers import merged

PAGE = b"""# HELP a_total Of all
# TYPE a_total counter
a_total{kind="x"} %d.0
# HELP b Alone
# TYPE b gauge
b %d.0
"""


def test_each_family_stands_once_and_each_sample_says_whose_it_is() -> None:
    assert merged({"7": PAGE % (1, 2), "8": PAGE % (3, 4)}).decode().splitlines() == [
        "# HELP a_total Of all",
        "# TYPE a_total counter",
        'a_total{process="7",kind="x"} 1.0',
        'a_total{process="8",kind="x"} 3.0',
        "# HELP b Alone",
        "# TYPE b gauge",
        'b{process="7"} 2.0',
        'b{process="8"} 4.0',
    ]


def test_a_family_that_only_a_newer_release_has_is_shown_too() -> None:
    newer = b"# HELP c New\n# TYPE c gauge\nc 1.0\n"
    assert b'c{process="8"} 1.0' in merged({"7": PAGE % (1, 2), "8": newer})
