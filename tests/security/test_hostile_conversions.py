"""`POST /v1/conversions` against whoever means harm: whatever comes, no 5xx, no row of a report without the others, no answer
without a key.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.sql.webhooks import SqlWebhooks
from daemon.api import MAX_BODY
from domain.webhooks import Webhook
from tests.daemon_fixture import ANSWER_SECONDS, BOT, Site, running_beside

ANA = 77_889_900
GOOD: dict[str, Any] = {"bot": BOT, "event": "Lead", "telegram_id": ANA}
FIELDS = (
    "bot", "event", "token", "telegram_id", "click_id", "order_id", "value", "currency", "at", "contents", "content_name",
    "content_category", "content_type", "num_items", "email", "phone", "first_name", "last_name", "gender", "birth_date", "city",
    "state", "zip", "country",
)  # fmt: skip


class Target:
    """A daemon on a loop of its own, as anybody can call it. `rows` of its outbox, by event."""

    def __init__(self, site: Site, client: httpx2.Client) -> None:
        self.client = client
        self._database = site.settings.sql.partition(":///")[2]
        self.bodies = 0

    def post(self, raw: bytes) -> httpx2.Response:
        self.bodies += 1
        return self.client.post("/v1/conversions", content=raw)

    def rows(self) -> Counter[bytes]:
        with sqlite3.connect(f"file:{self._database}?mode=ro", uri=True) as connection:
            found = connection.execute("SELECT event_id FROM outbox").fetchall()
        connection.close()
        return Counter(event_id for (event_id,) in found)

    def check(self, raw: bytes) -> httpx2.Response:
        """Send it; whatever is answered, each event has its row to the pixel and the one to the webhook, or none at all."""
        before = self.rows()
        answer = self.post(raw)
        after = self.rows()
        assert answer.status_code in {200, 413, 422}, (raw[:200], answer.text)
        assert set(after.values()) <= {2}
        if answer.status_code == 200:
            assert len(after) - len(before) == answer.json()["new"]
        else:
            assert after == before
            assert answer.json()["error"]
        return answer


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    site = Site(tmp_path_factory.mktemp("hostile"))

    async def add_webhook() -> None:
        hook = Webhook(name="crm", url="https://crm.example.com/", secret=b"x", created_at_ms=0)
        async with site.engine() as engine:
            await SqlWebhooks(engine).put(hook)

    with running_beside(site, add_webhook):
        headers = {"authorization": f"Bearer {site.key}"}
        base = f"http://{site.settings.private_bind}"
        with httpx2.Client(base_url=base, headers=headers, timeout=ANSWER_SECONDS) as client:
            yield Target(site, client)


# ---------------------------------------------------------------- any bodies


hostile = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
texts = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["", " ", "Purchase", "Lead", "\x00", "1e400", "-0", "9" * 400, "\u202e", "😀"]),
)
numbers = st.one_of(
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 5e-324, 1.7976931348623157e308, 2**63, 10**9, 10**9 + 1, 0.1 + 0.2]),
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
items = st.lists(
    st.fixed_dictionaries({}, optional={"id": texts | anything, "quantity": numbers, "item_price": numbers | texts}), max_size=60
)  # fmt: skip
near = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(FIELDS, anything),
        "event": texts | st.just("Purchase"),
        "value": numbers | texts,
        "order_id": texts,
        "at": st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()) | texts,
        "num_items": numbers,
        "contents": items,
    },
)


@given(body=near)
@hostile
def test_no_report_that_is_almost_right_is_answered_5xx_or_written_by_half(
    target: Target, body: dict[str, Any]
) -> None:
    target.check(json.dumps(GOOD | body).encode())


@given(body=anything)
@hostile
def test_no_json_at_all_is_answered_5xx_or_written(target: Target, body: Any) -> None:
    assert target.check(json.dumps(body).encode()).status_code == 422


@given(raw=st.binary(max_size=300))
@hostile
def test_no_bytes_at_all_are_answered_5xx_or_written(target: Target, raw: bytes) -> None:
    target.check(raw)


@given(at=st.integers(0, 400), byte=st.integers(0, 255))
@hostile
def test_a_good_report_with_one_byte_changed_is_taken_whole_or_refused_whole(
    target: Target, at: int, byte: int
) -> None:
    body = GOOD | {"event": "Purchase", "order_id": "A-1", "value": "97.00", "currency": "BRL"}
    raw = bytearray(json.dumps(body | {"email": "ana@example.com", "contents": [{"id": "a"}]}).encode())
    raw[at % len(raw)] = byte
    target.check(bytes(raw))


# ---------------------------------------------------------------- chosen ones


def _with(name: str, written: str) -> bytes:
    return json.dumps(GOOD)[:-1].encode() + f', "{name}": {written}}}'.encode()


@pytest.mark.parametrize(
    "written",
    [
        "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "9" * 5000, "0." + "9" * 5000, "01", "+1", "1.", ".5", "0x1",
        '"1e400"', '"NaN"', '"' + "9" * 5000 + '"', '"\\ud800"', '"\\u0000"', "[" * 5000 + "]" * 5000, '{"a":' * 2000 + "1" + "}" * 2000,
        "[1", '"', "tru", "null", "true", "[]", "{}", "1e5", "-1", '"-1"', '"١٢٣"',
    ],
)  # fmt: skip
def test_values_that_break_readers_of_json_break_none_of_ours(target: Target, written: str) -> None:
    for name in ("value", "num_items", "order_id", "at", "click_id", "contents", "email", "unknown"):
        target.check(_with(name, written))


@pytest.mark.parametrize(
    "at",
    [
        "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-11-24T10:30:00+00:00:00.000001", "2026-W48-2T10:00:00Z",
        "2026-11-24T10:30:00", "20261124T103000Z", "2026-11-24T24:00:00Z", "2026-02-30T00:00:00Z", "-2026-11-24T10:30:00Z",
        "2026-11-24T10:30:00Z" + " " * 5000, "2026-11-24T10:30:00\ud83d\ude00",
    ],
)  # fmt: skip
def test_no_time_however_far_away_is_answered_5xx(target: Target, at: str) -> None:
    target.check(_with("at", json.dumps(at)))


def test_of_a_name_that_comes_twice_the_last_counts_and_it_is_one_report(target: Target) -> None:
    raw = b'{"bot": "nobody", "telegram_id": 7, ' + json.dumps(GOOD | {"order_id": "twice"})[1:].encode()
    first, again = target.check(raw), target.check(raw)
    assert (first.json()["new"], again.json()["new"]) == (True, False)


def test_ten_thousand_lines_of_an_order_are_too_large_and_a_few_hundred_are_left_out(target: Target) -> None:
    many = target.check(_with("contents", json.dumps([{"id": "a"}] * 10_000)))
    assert (many.status_code, many.json()["error"]) == (413, "too_large")
    some = target.check(_with("contents", json.dumps([{"id": "a"}] * 300)))
    assert (some.status_code, some.json()["ignored"]) == (200, ["contents"])


def test_a_body_without_a_length_is_read_no_further_than_the_limit(target: Target) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b" " * MAX_BODY

    try:
        answer = target.client.post("/v1/conversions", content=endless())
    except httpx2.HTTPError:
        return  # it is cut off while it still writes
    assert answer.status_code == 413


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize(
    "given",
    [
        "", "Bearer", "Bearer x", "Basic {}", "bearer{}", "{}", "Bearer {}x", "Bearer {}, Bearer x", "Bearer \u00e9",
        "Bearer " + "x" * 4000,
    ],
)  # fmt: skip
def test_without_a_key_that_is_known_the_answer_is_401_whatever_the_body_and_nothing_is_written(
    target: Target, given: str
) -> None:
    key = target.client.headers["authorization"].removeprefix("Bearer ")
    before = target.rows()
    for raw in (json.dumps(GOOD | {"order_id": "nobody"}).encode(), b"{", b"x" * (MAX_BODY + 1)):
        headers = {"authorization": given.format(key).encode()}
        answer = target.client.post("/v1/conversions", content=raw, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
    assert target.rows() == before


def test_a_key_is_compared_in_constant_time_with_every_key_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The route asks what every route asks: `ApiKeys`, which compares digests, all of them, whichever fits."""
    from privacy import api_keys

    path = tmp_path / "api-keys"
    keys = [api_keys.make_api_key(path, f"key{number}") for number in range(3)]
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(api_keys.hmac, "compare_digest", compare)
    held = api_keys.ApiKeys(path)
    for key in (*keys, "nobody"):
        compared.clear()
        assert held.allows(f"Bearer {key}") is (key != "nobody")
        assert len(compared) == 3
        assert {len(text) for pair in compared for text in pair} == {64}
