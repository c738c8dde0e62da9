"""What to do about a conversion that was not sent: from its state, code and reason, in one line. Pure.

Meta's codes are those of the Graph API's and the Conversions API's pages on errors (delivery/meta/errors.py sorts them);
a webhook's are HTTP statuses, and what kept a call from being made. Reasons are looked up by how they begin.
"""

from collections.abc import Mapping
from typing import Any, Literal

from domain.advice_pt import PORTUGUESE
from domain.conversions import (
    ERASED,
    IMPORTED,
    NO_SUCH_CLICK,
    RECEIVED,
    TOO_OLD,
    DeliveryState,
    pixel_of,
    webhook_of,
)

Language = Literal["en", "pt"]
MAY_HAVE_PASSED = (
    "its click did not come",
    "traffic class ",
    "the visit is of the class ",
    "no click of this person is known",
    NO_SUCH_CLICK,
    "there is no such destination any more",
    "the webhook was removed",
)
"""How reasons to skip begin that may hold no more although the link is as it was: never an erasure, never Sec-GPC."""
_BY_ITSELF = "nothing: it is sent again by itself"
_AGAIN = "trilha outbox retry --state skipped"
_RENEW = "make a new access token in Events Manager, then: trilha pixel token {pixel} --token-file -"
_RIGHTS = "let the token's system user manage the pixel (Business settings, Data sources)"
_PROOF = "its app demands a proof: give the app's secret too: trilha pixel token {pixel} --token-file FILE --app-secret-file FILE"
_REPORT = "This one stays as it is: mend what reports it, and report it once more under another order id"
_OVER = "nothing any more for this one: see trilha doctor for what made it wait, before others are too old"
_SHORT = "the destination took fewer events than it was sent: see Diagnostics in Events Manager, or ask Meta with the trace"
_SLOWER = "nothing: it asked for fewer calls, and gets them; it is sent again by itself"
_SETTLE = f"see why settling was behind: trilha doctor. Then: {_AGAIN}"
_CLASSED = f"nothing, if it was no person. After trilha rescore has found otherwise: {_AGAIN}"

_OF_REASON: Mapping[str, str] = {
    ERASED: "nothing: the person was erased, and nothing of them is ever sent",
    IMPORTED: "nothing: another tracker has taken it, and no history is ever sent",
    "the visitor asked for no sharing": "nothing: the visitor asked for it, and TRILHA_HONOUR_GPC says to obey",
    "the link has no pixel": f"give it one: trilha link edit SLUG --pixel ID. Then: {_AGAIN}",
    "the link does not report ": f"switch the event on, if it is wanted: trilha link events SLUG --on EVENT. Then: {_AGAIN}",
    "its click did not come": _SETTLE,
    "traffic class not known": _SETTLE,
    "traffic class ": _CLASSED,
    "the visit is of the class ": _CLASSED,
    "no click of this person is known yet": "nothing: it is looked for again by itself, for a day",
    "no click of this person is known": f"nothing, if they came by no link of yours. If settling was behind: {_AGAIN}",
    NO_SUCH_CLICK: "see which click was reported with it: this installation has never had that one",
    "there is no such destination any more": f"nothing, if it was removed on purpose. Else make it again. Then: {_AGAIN}",
    "the webhook was removed": f"nothing, if that was meant. Else add it again. Then: {_AGAIN}",
    TOO_OLD: _OVER,
    "event_time is older than 7 days": _OVER,
    "not received in ": _SHORT,
    "it lies in the future": "set the clock of this machine, or of what reports it; then nothing: it waits until its time",
    "its click has not come yet": _BY_ITSELF,
    "its click is not classed yet": _BY_ITSELF,
    "the click is not in SQL yet": _BY_ITSELF,
    "the click is not classed yet": _BY_ITSELF,
    "a person may stand behind the prefetch": _BY_ITSELF,
    "a Purchase needs value and currency": f"report value and currency with it. {_REPORT}",
    "user_data has only what too many people share": "report the person's e-mail or phone with it: nothing else tells them from others",
}
_OF_META: Mapping[str, str] = {
    "3": f"{_RIGHTS}, then: trilha outbox retry --pixel {{pixel}}",
    "10": _RIGHTS,
    "100/33": "Meta knows no such pixel, or this token may not use it: compare its id with Events Manager; trilha pixel status {pixel}",
    "100/2804001": "Meta does not know this click id (fbclid): nothing for one; for many, see what changes your ads' URLs on the way",
    "100/2804003": _OVER,
    "100/2804009": f"report value and currency with every Purchase. {_REPORT}",
    "100/2804016": f"report e-mail, phone and names in clear: they are hashed here as Meta wants it. {_REPORT}",
    "100": f"Meta refuses a field, which the reason names. {_REPORT}",
    "105": f"it has more than Meta takes. {_REPORT}",
    "102": _RENEW,
    "104": _PROOF,
    "190": _RENEW,
    **dict.fromkeys((str(code) for code in range(200, 300)), _RIGHTS),
    "2500": _RENEW,
    "2635": "this version of Meta's API has ended: update Trilha; what waits is then sent by itself",
    "368": "Meta blocks the account for now: see Account Quality in Business Support; it is sent again by itself",
    RECEIVED: _SHORT,
    **dict.fromkeys(("4", "17", "32", "613"), _SLOWER),
    **dict.fromkeys((str(code) for code in range(80_000, 80_015)), _SLOWER),
    **dict.fromkeys(("1", "2", "341", "5000", "21009"), _BY_ITSELF),
}
_OF_WEBHOOK: Mapping[str, str] = {
    **dict.fromkeys(("400", "413", "422"), "its receiver does not take this event: see its log"),
    **dict.fromkeys(
        ("401", "403"),
        "let the receiver know the webhook's secret, or: trilha webhook add {webhook} --replace --url URL --secret-file FILE",
    ),
    **dict.fromkeys(
        ("301", "302", "303", "307", "308", "404", "405", "410", "415"),
        "give the webhook its right URL: trilha webhook add {webhook} --replace --url URL",
    ),
    "429": _SLOWER,
    "refused": "its URL may not be posted to. If it is in your own network: TRILHA_WEBHOOK_HOSTS",
}
_OF_EITHER: Mapping[str, str] = {
    "made": "a fault in the program: please report it",
    "http 429": _SLOWER,
    **dict.fromkeys(
        ("timeout", "connection", "unreachable", "tls", "protocol"),
        "see whether this machine reaches the destination; it is sent again by itself",
    ),
}
_HELD_PIXEL = (
    "mend what it says, if need be by trilha pixel token {pixel} --token-file -; it is tried again every 15 minutes, "
    "and at once after trilha pixel test {pixel}"
)
_HELD_WEBHOOK = (
    "mend what it says, if need be by trilha webhook add {webhook} --replace --url URL; "
    "it is tried again every 15 minutes. To see what comes back: trilha webhook test {webhook}"
)
_OF_STATE: Mapping[DeliveryState, str] = {
    "pending": _BY_ITSELF,
    "sent": "nothing: the destination has it",
    "rejected": "see the reason. When what it says is mended: trilha outbox retry ID",
    "dead": _OVER,
    "skipped": "see the reason",
}


def advice(
    lane: str, state: DeliveryState, code: str | None, reason: str | None, *, language: Language = "en"
) -> str:
    """What to do, in one line. Nothing is also said."""
    if state == "sent":
        return _said(_OF_STATE[state], lane, language)
    found = _by_reason(reason or "") or _by_code(lane, code or "") or _OF_STATE[state]
    return _said(found, lane, language)


def of_held(lane: str, *, language: Language = "en") -> str:
    """What to do about a lane that is held by what its destination says."""
    return _said(_HELD_PIXEL if pixel_of(lane) else _HELD_WEBHOOK, lane, language)


def sentences() -> frozenset[str]:
    """All there are, in English, before a lane's names are put in."""
    tables: tuple[Mapping[Any, str], ...] = (_OF_REASON, _OF_META, _OF_WEBHOOK, _OF_EITHER, _OF_STATE)
    return frozenset(text for table in tables for text in table.values()) | {_HELD_PIXEL, _HELD_WEBHOOK}


def _said(text: str, lane: str, language: Language) -> str:
    spoken = PORTUGUESE[text] if language == "pt" else text
    return spoken.format(pixel=pixel_of(lane) or "ID", webhook=webhook_of(lane) or "NAME")


def _by_reason(reason: str) -> str | None:
    # Meta says so by a bare 100, as it does of a bad event.
    if "appsecret_proof" in reason:
        return _PROOF
    return next((text for start, text in _OF_REASON.items() if reason.startswith(start)), None)


def _by_code(lane: str, code: str) -> str | None:
    """By the whole code, or the code without its subcode or figure."""
    table = _OF_META if pixel_of(lane) else _OF_WEBHOOK
    alone = code.partition("/")[0].partition(" ")[0]
    return _OF_EITHER.get(code) or table.get(code) or table.get(alone)
