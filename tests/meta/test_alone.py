"""The server as a process of its own, which another process rules by its control surface."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.meta.events import PIXEL, TOKEN, good_event, proof

ROOT = Path(__file__).parents[2]
FAULT = '{"fault": "throttle", "code": 4, "calls": 1}'


@pytest.fixture
def served(tmp_path: Path) -> Iterator[httpx2.Client]:
    """A client of a running server that throttles its first call, and ends well when told to."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "secret").write_text("secret\n")
    command = [sys.executable, "-m", "tests.meta", "--pixel", PIXEL, "--fault", FAULT]
    command += ["--token-file", str(tmp_path / "token"), "--app-secret-file", str(tmp_path / "secret")]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        ready, url = server.stdout.readline().split()
        assert ready == "ready"
        with httpx2.Client(base_url=url) as client:
            yield client
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=20)
    assert server.returncode == 0


def send(client: httpx2.Client, token: str = TOKEN, **event: Any) -> int | str:
    """How many were received, or the error's code."""
    body = {"data": [good_event(**event)], "appsecret_proof": proof("secret", token)}
    headers = {"authorization": f"Bearer {token}"}
    said = client.post(f"/v26.0/{PIXEL}/events", json=body, headers=headers).json()
    return said["events_received"] if "error" not in said else str(said["error"]["code"])


def order(client: httpx2.Client, what: str, **said: Any) -> int:
    return client.post(f"/_fake/{what}", json=said).status_code


def test_another_process_sets_faults_and_reads_what_was_accepted(served: httpx2.Client) -> None:
    assert [send(served), send(served, event_id="one"), send(served, event_id="one")] == ["4", 1, 1]
    assert send(served, event_id="two") == 1
    accepted = served.get("/_fake/accepted", params={"limit": 1}).json()
    assert (accepted["count"], len(accepted["events"])) == (2, 1)
    assert accepted["events"][0]["event"]["event_id"] == "two"
    assert served.get("/_fake/accepted?pixel=999").json() == {"count": 0, "events": []}
    assert order(served, "faults", fault="refuse", code=10) == 200
    assert send(served) == "10"
    assert order(served, "clear") == 200
    stats = served.get("/_fake/stats").json()
    assert (stats["accepted"], stats["received"], stats["calls"]) == (2, 3, 5)
    assert (stats["faults"], stats["struck"]) == ([], {"throttle": 1, "refuse": 1})
    assert (stats["leaks"], stats["oddities"], stats["connections"]) == ([], [], 1)


def test_one_event_in_so_many_is_refused_always_the_same_and_known_to_another_process(
    served: httpx2.Client,
) -> None:
    assert order(served, "clear") == 200
    assert order(served, "faults", fault="spoil", each=4) == 200
    told = {f"event {n}": send(served, event_id=f"event {n}") for n in range(40)}
    again = {name: send(served, event_id=name) for name in told}
    spoilt = {name for name, answer in told.items() if answer == "100"}
    assert told == again
    assert 0 < len(spoilt) < 20
    assert set(served.get("/_fake/faulty").json()["event_ids"]) == spoilt
    assert order(served, "clear") == 200
    assert {send(served, event_id=name) for name in spoilt} == {1}


def test_another_process_revokes_and_renews_tokens(served: httpx2.Client) -> None:
    assert order(served, "clear") == 200
    assert order(served, "revoke", pixel=PIXEL) == 200
    assert send(served) == "190"
    assert order(served, "renew", pixel=PIXEL, token="EAABnew") == 200
    assert send(served, token="EAABnew") == 1
    assert order(served, "pixels", pixel="999", token="EAABelse") == 200
    assert order(served, "revoke", token="EAABelse") == 200


def test_an_order_that_cannot_be_understood_is_refused(served: httpx2.Client) -> None:
    assert order(served, "faults", fault="earthquake") == 400
    assert order(served, "faults", fault="throttle", colour="red") == 400
    assert order(served, "renew", pixel="999") == 400
    assert order(served, "nothing") == 404


def test_every_connection_is_dropped_after_the_answer(served: httpx2.Client) -> None:
    assert order(served, "drop") == 200
    with suppress(httpx2.TransportError):  # sent on the old connection, if that is not known to be closed yet
        served.get("/_fake/stats")
    assert served.get("/_fake/stats").json()["connections"] == 2
