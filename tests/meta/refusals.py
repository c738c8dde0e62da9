"""Meta's error envelope, and the refusals that have one.

Of the subcodes of code 100 Meta's documentation names some and its answers show others; where neither was seen the
meaning is ours and marked so. Nobody may rely on it: what a sender has to know is that they are the event's fault.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import msgspec

from tests.meta.wire import Answer

CLICK_ID = 2804001  # fbc is not of its format
TOO_OLD = 2804003  # event_time more than 7 days ago
NO_CURRENCY = 2804007  # Purchase without currency (ours)
NO_VALUE = 2804009  # Purchase without value
CURRENCY = 2804014  # no such currency (ours)
NOT_HASHED = 2804016  # what must be hashed is not
MATCHING = 2804017  # address, browser or fbp not of their format, or hashed (ours)
PARAMETER = 2804019  # "Server Side Api Parameter Error": missing, of the wrong type, unknown
TIME = 2804048  # event_time in the future (ours)
TOO_LITTLE = 2804050  # not enough customer information; seen in answers of Meta, in no list
MESSAGING = 2804066  # business_messaging that is not of Messenger, WhatsApp or Instagram; likewise
NO_OBJECT = 33  # there is no such pixel, or not for this token
EXPIRED = 463  # the token was good once

_TITLES = {
    CLICK_ID: "Invalid Click ID",
    TOO_OLD: "Event Timestamp Too Old",
    NO_CURRENCY: "Missing Currency",
    NO_VALUE: "Missing Value",
    CURRENCY: "Invalid Currency",
    NOT_HASHED: "Customer Information Not Hashed",
    MATCHING: "Invalid Customer Information",
    PARAMETER: "Server Side Api Parameter Error",
    TIME: "Event Timestamp In The Future",
    TOO_LITTLE: "Not Enough Customer Information",
    MESSAGING: "Messaging Event Invalid Event Type",
}
_traces = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One error of Meta's. `transient` None: the envelope does not say."""

    code: int
    subcode: int | None = None
    message: str = "Invalid parameter"
    user_message: str | None = None
    kind: str = "OAuthException"
    status: int = 400
    transient: bool | None = False
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """CODE or CODE/SUBCODE."""
        return str(self.code) if self.subcode is None else f"{self.code}/{self.subcode}"

    def answer(self) -> Answer:
        """The envelope."""
        error = {"message": self.message, "type": self.kind, "code": self.code}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.transient is not None:
            error["is_transient"] = self.transient
        if self.user_message is not None:
            error["error_user_title"] = _TITLES.get(self.subcode or 0, "Invalid Parameter")
            error["error_user_msg"] = self.user_message
        error["fbtrace_id"] = trace()
        body = msgspec.json.encode({"error": error})
        return Answer(status=self.status, body=body, headers=self.headers)


class Refused(Exception):
    """Raised by whatever finds something wrong."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal


def bad_event(subcode: int, says: str) -> Refused:
    """One event is at fault, and with it the batch. As a rule Meta does not say which one it is."""
    return Refused(Refusal(code=100, subcode=subcode, user_message=says))


def bad_parameter(path: str, says: str) -> Refused:
    """Meta names the parameter by its JSON path, as in $['data'][0]['user_data']."""
    return bad_event(PARAMETER, f"The parameter {path} {says}")


def trace() -> str:
    """An fbtrace_id. Each answer has its own."""
    return f"A{next(_traces):022d}"
