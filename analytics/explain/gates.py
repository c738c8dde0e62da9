"""Gates: why a conversion was not sent, or not yet, by how the outbox's reason begins, each with a sentence of its own.

The reasons are those that backends/ and delivery/ write; a test runs each gate and reads what is told of it.
"""

from collections.abc import Mapping

GATES: Mapping[str, str] = {
    "erased": "gate.erased",
    "the visitor asked for no sharing": "gate.gpc",
    "the link has no pixel": "gate.no_pixel",
    "the link does not report ": "gate.event_off",
    "its click did not come": "gate.click_missing",
    "traffic class not known": "gate.not_classed",
    "traffic class ": "gate.class",
    "the visit is of the class ": "gate.class",
    "no click of this person is known yet": "gate.no_click_yet",
    "no click of this person is known": "gate.no_click",
    "no such click": "gate.no_such_click",
    "there is no such destination any more": "gate.gone",
    "the webhook was removed": "gate.webhook_removed",
    "older than 7 days": "gate.too_old",
    "event_time is older than 7 days": "gate.too_old",
    "not received in ": "gate.not_received",
    "a person may stand behind the prefetch": "gate.prefetch",
    "its click has not come yet": "gate.click_to_come",
    "the click is not in SQL yet": "gate.click_to_come",
    "its click is not classed yet": "gate.class_to_come",
    "the click is not classed yet": "gate.class_to_come",
    "it lies in the future": "gate.future",
}


def gate_of(reason: str | None) -> str | None:
    """The key of its sentence; None: it is the destination's own word."""
    return next((key for start, key in GATES.items() if (reason or "").startswith(start)), None)
