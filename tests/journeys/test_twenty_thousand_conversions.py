"""Twenty thousand conversions reach twenty pixels, each once and each its own, while Meta fails in every way that it can
and the relay is killed ten times; what Meta refuses is rejected with its reason, and what waits too long is told of.
"""

from __future__ import annotations

from pathlib import Path

from domain.conversions import meta_lane
from tests.journeys.twenty_thousand import KILLS, OLD, REVOKED, TOTAL, Result, journey, misplaced


async def test_twenty_thousand_conversions_are_taken_once_each_whatever_fails(tmp_path: Path) -> None:
    result = await journey(tmp_path)
    print(f"\n{result.table()}")
    assert len(result.owed) == TOTAL
    all_arrived_once(result)
    all_are_marked(result)
    lanes_were_held_and_went_on(result)
    lateness_was_told(result)
    assert result.relay.kills == KILLS
    assert min(result.caught) > 0
    assert result.relay.stumbles == []
    assert result.meta.leaks == []
    assert result.meta.oddities == []


def all_arrived_once(result: Result) -> None:
    """Every good one at its own pixel and nowhere else, counted once; no bad one."""
    assert set(result.meta.accepted) == result.good
    assert set(result.meta.counted.values()) == {1}
    assert result.twice > 0, "nothing came twice: no kill and no lost answer struck where it matters"


def all_are_marked(result: Result) -> None:
    """SQL says of each what Meta says."""
    assert misplaced(result) == set()
    refused = {str(row.event_id): (row.code, row.reason) for row in result.rows if row.state == "rejected"}
    assert refused == {key[2]: (code, f"refused {code}") for key, code in result.bad.items()}
    assert {row.state for row in result.rows} == {"sent", "rejected"}


def lanes_were_held_and_went_on(result: Result) -> None:
    """Both lanes whose tokens were revoked, and only they; nothing went through them before the tokens were renewed."""
    held = {status.lane: status for status in result.held}
    assert held.keys() == {meta_lane(pixel) for pixel in REVOKED}
    assert all(status.held_at_ms is not None and status.hold_reason for status in held.values())
    assert result.sent_while_held == 0
    said = {(line["lane"], line["level"]) for line in result.relay.log("a lane is held")}
    assert said == {(lane, "error") for lane in held}
    assert [status.lane for status in result.lanes if status.held_at_ms is not None] == []


def lateness_was_told(result: Result) -> None:
    """3 hours are a warning, 25 hours an error; no other lane is spoken of."""
    levels = {pixel: result.said("a lane is late", meta_lane(pixel)) for pixel in OLD}
    assert [levels[pixel] for pixel in REVOKED] == [{"warning"}, {"error"}]
    assert {line["lane"] for line in result.relay.log("a lane is late")} == {
        meta_lane(pixel) for pixel in OLD
    }
