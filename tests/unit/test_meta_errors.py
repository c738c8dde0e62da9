"""What Meta's answers mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivery.destination import Accepted, Refusal
from delivery.meta.errors import MAX_BODY, accepted, refusal

# The first text that hypothesis makes on a machine takes it seconds.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answer(code: int | None = None, subcode: int | None = None, **more: object) -> bytes:
    error = {"message": "Something", "code": code, "error_subcode": subcode, "fbtrace_id": "AbC-_1"} | more
    return json.dumps({"error": {name: value for name, value in error.items() if value is not None}}).encode()


@pytest.mark.parametrize(
    ("status", "code", "subcode", "kind"),
    [
        *((400, 100, subcode, "event") for subcode in (2804001, 2804003, 2804007, 2804009, 2804014)),
        *((400, 100, subcode, "event") for subcode in (2804016, 2804017, 2804019, 2804048, None)),
        (400, 3, None, "event"),
        (400, 105, None, "event"),
        (401, 190, None, "configuration"),
        (400, 190, 460, "configuration"),
        (400, 190, 463, "configuration"),
        (400, 100, 33, "configuration"),
        (404, 100, 33, "configuration"),
        (403, 200, None, "configuration"),
        (400, 275, None, "configuration"),
        *((400, code, None, "configuration") for code in (10, 102, 104, 294, 2500, 2635)),
        *((400, code, None, "throttled") for code in (4, 17, 32, 613, 80_000, 80_004, 80_014)),
        *((400, code, None, "temporary") for code in (1, 2, 341, 368, 5000, 21_009)),
        (500, 1, None, "temporary"),
        (500, 987_654, None, "temporary"),
        (400, 987_654, None, "event"),
        (422, 987_654, None, "event"),
        (403, 987_654, None, "configuration"),
        (404, 987_654, None, "configuration"),
        (429, 987_654, None, "throttled"),
        (418, 987_654, None, "temporary"),
        (500, 190, None, "configuration"),
    ],
)
def test_an_error_is_classed_by_its_code_and_an_unknown_one_by_its_status(
    status: int, code: int, subcode: int | None, kind: str
) -> None:
    found = refusal(status, answer(code, subcode), {})
    assert (found.kind, found.code) == (kind, f"{code}/{subcode}" if subcode else str(code))
    assert (found.reason, found.trace) == ("Something", "AbC-_1")


def test_what_meta_calls_transient_is_tried_again_unless_it_throttles() -> None:
    assert refusal(400, answer(100, 2804003, is_transient=True), {}).kind == "temporary"
    assert refusal(400, answer(190, is_transient=True), {}).kind == "temporary"
    assert refusal(400, answer(4, is_transient=True), {}).kind == "throttled"
    assert refusal(400, answer(100, is_transient="true"), {}).kind == "event"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"\xff\xfe",
        b"[1]",
        b'"text"',
        b'{"error": "text"}',
        b"{",
        b"[" * 9999,
    ],
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "temporary"), (400, "temporary"), (413, "event"), (429, "throttled"), (502, "temporary")],
)
def test_an_answer_that_is_not_metas_is_tried_again(status: int, kind: str, body: bytes) -> None:
    found = refusal(status, body, {})
    assert (found.kind, found.code, found.trace) == (kind, f"http {status}", None)
    assert found.reason == f"http {status} without a reason"


def test_an_answer_without_end_is_not_read() -> None:
    assert refusal(400, answer(190, padding="x" * MAX_BODY), {}).kind == "temporary"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("30", 30.0), ("1.5", 1.5), ("999999", 3600.0), ("-1", None), ("nan", None), ("", None)],
)
def test_it_waits_as_long_as_it_is_asked_to_and_an_hour_at_most(value: str, seconds: float | None) -> None:
    assert refusal(429, answer(4), {"Retry-After": value}).retry_after == seconds


def test_the_reason_is_what_meta_says_to_users_first() -> None:
    found = refusal(400, answer(100, 2804009, message="(#100) Invalid", error_user_msg="Add a\nvalue."), {})
    assert found.reason == "Add a value."
    assert len(refusal(400, answer(100, message="no " * 500), {}).reason) == 200


@pytest.mark.parametrize(
    "secret",
    [
        "EAAGm0PX4ZCpsBAKZCZA1b2c3d4e5f6g7h8",
        "ana.souza@loja.com.br",
        "+55 (11) 91234-5678",
        "5511912345678",
        "203.0.113.77",
        "2001:db8:1:2::7",
        "fb.1.1799999995000.IwAR0abc",
        "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36",
        "access_token=abcdefghijklmnop",
    ],
)
def test_a_reason_holds_no_token_and_nothing_of_a_person(secret: str) -> None:
    for message in (f"Invalid value {secret} in data", f"{'x ' * 95}{secret}"):
        reason = refusal(400, answer(100, message=message), {"X-Ad-Api-Version-Warning": message}).reason
        value = secret.rpartition("=")[2]
        assert value[:6] not in reason
        assert value[-6:] not in reason


def test_the_end_of_the_apis_version_is_passed_on_from_either_answer() -> None:
    headers = {"x-ad-api-version-warning": "v26.0 ends soon"}
    assert refusal(400, answer(100), headers).warning == "v26.0 ends soon"
    assert accepted(b'{"events_received": 2}', headers, 2) == Accepted(warning="v26.0 ends soon")


def test_events_are_accepted_only_if_as_many_were_received_as_were_sent() -> None:
    body = b'{"events_received": 2, "messages": [], "fbtrace_id": "AbC"}'
    assert accepted(body, {}, 2) == Accepted(trace="AbC")
    found = accepted(body, {}, 3)
    assert found == Refusal(kind="event", code="received 2", reason="received 2 of 3 events", trace="AbC")


def test_what_meta_remarks_on_accepted_events_is_kept_as_a_warning() -> None:
    body = b'{"events_received": 1, "messages": ["Low match", 7, "for a@b.com.br"]}'
    assert accepted(body, {}, 1) == Accepted(warning="Low match; for […]")


@pytest.mark.parametrize(
    "body", [b"", b"<html>login</html>", b'{"events_received": "2"}', b'{"events_received": true}']
)
def test_a_success_that_says_nothing_of_events_is_none(body: bytes) -> None:
    found = accepted(body, {}, 1)
    assert isinstance(found, Refusal)
    assert (found.kind, found.code) == ("temporary", "http 200")


def test_an_error_with_the_status_of_a_success_is_an_error() -> None:
    found = accepted(answer(190, 463), {}, 1)
    assert isinstance(found, Refusal)
    assert (found.kind, found.code) == ("configuration", "190/463")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
error_names = st.sampled_from(
    [
        "code",
        "error_subcode",
        "message",
        "error_user_msg",
        "is_transient",
        "fbtrace_id",
        "events_received",
        "messages",
    ]
)
errors = st.dictionaries(error_names, json_values)
bodies = st.binary(max_size=200) | st.builds(
    lambda error, rest: json.dumps(rest | {"error": error}).encode(), errors, errors
)


@patient
@given(st.integers(100, 599), bodies, st.dictionaries(st.text(), st.text(), max_size=3), st.integers(0, 1000))
def test_whatever_is_answered_has_a_meaning_that_fits_its_columns(
    status: int, body: bytes, headers: dict[str, str], sent: int
) -> None:
    for found in (refusal(status, body, headers), accepted(body, headers, sent)):
        assert len(found.trace or "") <= 100
        assert len(found.warning or "") <= 200
        if isinstance(found, Refusal):
            assert 0 < len(found.code) <= 20
            assert 0 < len(found.reason) <= 200


@pytest.mark.parametrize(
    "says",
    [
        "API calls from the server require an appsecret_proof argument",
        "Invalid appsecret_proof provided in the API argument",
    ],
)
def test_a_proof_of_the_app_that_is_missing_or_wrong_holds_the_lane_and_rejects_no_event(says: str) -> None:
    found = refusal(400, answer(100, message=says), {})
    assert (found.kind, found.code) == ("configuration", "100")
    assert "appsecret_proof" in found.reason


def test_what_is_answered_reaches_a_terminal_without_anything_that_it_would_obey() -> None:
    body = answer(100, message="\x1b[2Jbad\x07 \u202etxet\x00 field")
    assert refusal(400, body, {}).reason == "[2Jbad txet field"
    taken = accepted(b'{"events_received": 1}', {"X-Ad-Api-Version-Warning": "\x1b]0;v26.0 ends\x07"}, 1)
    assert taken.warning == "]0;v26.0 ends"


@pytest.mark.parametrize(
    "said_back", ["EAAtestZCOnlyZBnoRealToken0123456789ZD", "IwAR2F4dbP0l7Mn1_aem_Kk", "c0ffee" * 12]
)
def test_a_secret_that_is_said_back_as_a_trace_is_not_kept(said_back: str) -> None:
    assert refusal(400, answer(190, fbtrace_id=said_back), {}).trace is None
    assert (
        refusal(400, answer(190, fbtrace_id="AXvyk0g-_rT1Rj2mP9xQz3A"), {}).trace == "AXvyk0g-_rT1Rj2mP9xQz3A"
    )
