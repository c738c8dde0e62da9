"""One line of advice for whatever became of a conversion."""

from __future__ import annotations

import re

import pytest

from backends.sql.attributing import NO_CLICK, NOT_YET
from backends.sql.owed import NO_PIXEL
from backends.sql.webhooks import REMOVED
from delivery.destination import Prepared, Ready
from delivery.lane import GONE
from delivery.meta.payload import prepared as to_meta
from delivery.webhook_event import prepared as to_webhook
from domain.advice import MAY_HAVE_PASSED, advice
from domain.conversions import (
    ERASED,
    IMPORTED,
    NO_SUCH_CLICK,
    PAGE_VIEW,
    UNATTRIBUTED,
    VIEW_CONTENT,
    Delivery,
    DeliveryState,
)
from tests.golden.meta.cases import CLICK, CLICKED_MS, EXTERNAL_ID, SOURCE_URL, enrichment, of_click
from tests.making import bare_click

META, HOOK = "meta/123456789", "webhook/crm"


@pytest.mark.parametrize(
    ("lane", "state", "code", "reason", "part"),
    [
        (META, "sent", None, None, "nothing: the destination has it"),
        (META, "pending", None, None, "nothing: it is sent again by itself"),
        (META, "pending", "190", "Error validating access token", "trilha pixel token 123456789"),
        (META, "pending", "190/463", "Session has expired", "trilha pixel token 123456789"),
        (META, "pending", "100", "API calls require an appsecret_proof", "--app-secret-file"),
        (META, "pending", "80004", "too many calls", "fewer calls"),
        (META, "pending", "http 502", "http 502 without a reason", "by itself"),
        (META, "rejected", "100/2804009", "Purchase", "value and currency with every Purchase"),
        (META, "rejected", "100/2804099", "no such field", "Meta refuses a field"),
        (META, "rejected", "100/33", "Unsupported post request", "no such pixel"),
        (META, "rejected", None, "a Purchase needs value and currency", "report value and currency"),
        (META, "rejected", "9999", "what nobody knows", "trilha outbox retry ID"),
        (META, "rejected", "received 3", "received 3 of 4 events", "Diagnostics"),
        (META, "dead", "http 502", "older than 7 days: http 502", "before others are too old"),
        (META, "dead", "received 0", "not received in 10 attempts: …", "Diagnostics"),
        (META, "pending", "273", "no right", "manage the pixel"),
        (META, "rejected", "3", "no capability", "trilha outbox retry --pixel 123456789"),
        (HOOK, "pending", "401", "the webhook answered 401", "trilha webhook add crm --replace --url URL"),
        (HOOK, "pending", "404", "the webhook answered 404", "trilha webhook add crm --replace --url URL"),
        (HOOK, "pending", "refused", "the URL leads to an address", "TRILHA_WEBHOOK_HOSTS"),
        (HOOK, "rejected", "422", "the webhook answered 422", "its log"),
        (HOOK, "pending", "timeout", "no answer within 5 seconds", "reaches the destination"),
        (UNATTRIBUTED, "skipped", None, NO_PIXEL, "trilha link edit SLUG --pixel ID"),
        (UNATTRIBUTED, "skipped", None, "the link does not report Lead", "trilha link events SLUG --on"),
        (UNATTRIBUTED, "skipped", None, ERASED, "nothing of them is ever sent"),
        (UNATTRIBUTED, "skipped", None, IMPORTED, "no history is ever sent"),
        (UNATTRIBUTED, "skipped", None, NO_CLICK, "no link of yours"),
        (UNATTRIBUTED, "pending", None, NOT_YET, "looked for again"),
        (META, "skipped", None, "the visitor asked for no sharing (Sec-GPC)", "TRILHA_HONOUR_GPC"),
        (META, "skipped", None, "traffic class bot", "trilha rescore"),
        (META, "skipped", None, "nobody knows", "see the reason"),
    ],
)
def test_advice_goes_by_the_reason_then_the_code_then_the_state(
    lane: str, state: DeliveryState, code: str | None, reason: str | None, part: str
) -> None:
    assert part in advice(lane, state, code, reason)


@pytest.mark.parametrize("code", ["", "100", "190", "4", "404", "429", "no such", "{pixel}", "/", " "])
@pytest.mark.parametrize("lane", [META, HOOK, UNATTRIBUTED])
def test_advice_is_one_line_without_a_place_left_open(lane: str, code: str) -> None:
    said = advice(lane, "rejected", code, "{webhook} {0}")
    assert said
    assert not re.search(r"[{}\n]", said)


def whys(*made: Prepared) -> list[str]:
    """Why each of them is not sent, or not yet."""
    return [one.reason for one in made if not isinstance(one, Ready)]


def of_meta(delivery: Delivery, *, late: bool = False) -> Prepared:
    now_ms = CLICKED_MS + (600_000 if late else 1)
    return to_meta(
        delivery, None, now_ms=now_ms, external_id=EXTERNAL_ID, source_url=SOURCE_URL, honour_gpc=True
    )


GPC = of_meta(of_click(VIEW_CONTENT, CLICKED_MS, click=bare_click(id=CLICK.id, gpc=True)))
ROBOT = of_click(PAGE_VIEW, CLICKED_MS, enrichment=enrichment(kind="bot"))
UNKNOWN = of_click(PAGE_VIEW, CLICKED_MS, enrichment=None)
LOST = of_click(PAGE_VIEW, CLICKED_MS, click=None, enrichment=None)
SKIPPED = [
    *whys(of_meta(ROBOT), of_meta(UNKNOWN, late=True), of_meta(LOST, late=True)),
    *whys(to_webhook(ROBOT, CLICKED_MS)),
    *(NO_CLICK, NO_SUCH_CLICK, GONE, REMOVED),
]
WAITING = [
    *whys(of_meta(UNKNOWN), of_meta(LOST), to_webhook(UNKNOWN, CLICKED_MS), to_webhook(LOST, CLICKED_MS)),
    NOT_YET,
]


@pytest.mark.parametrize("reason", SKIPPED)
def test_every_reason_to_skip_that_may_have_passed_has_advice_and_may_be_retried(reason: str) -> None:
    assert reason.startswith(MAY_HAVE_PASSED)
    assert advice(META, "skipped", None, reason) != "see the reason"


@pytest.mark.parametrize("reason", WAITING)
def test_every_reason_to_wait_is_told_as_one_that_passes_by_itself(reason: str) -> None:
    assert advice(META, "pending", None, reason).startswith("nothing: ")


def test_neither_an_erasure_nor_sec_gpc_is_a_reason_that_may_have_passed() -> None:
    for reason in (ERASED, *whys(GPC)):
        assert not reason.startswith(MAY_HAVE_PASSED)
        assert advice(META, "skipped", None, reason).startswith("nothing: the ")
    assert whys(GPC)
