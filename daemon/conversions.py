"""`POST /v1/conversions`: a body becomes a report, and its answer an object."""

from collections.abc import Mapping
from typing import Any

from daemon.shapes import ConversionBody
from delivery.particulars import Content, Item
from delivery.report import PERSON_FIELDS, ReportAnswer, ReportRequest


def report_request(body: ConversionBody) -> ReportRequest:
    """What the body asks for."""
    return ReportRequest(
        bot=body.bot,
        event=body.event,
        token=body.token,
        telegram_id=body.telegram_id,
        click_id=body.click_id,
        order_id=body.order_id,
        value=body.value,
        currency=body.currency,
        at=body.at,
        content=_content(body),
        person=_person(body),
    )


def conversion_json(answer: ReportAnswer) -> dict[str, Any]:
    """The object of the API and of `trilha conversion --json`."""
    return {
        "event_id": str(answer.event_id),
        "state": answer.state,
        "reason": answer.reason,
        "new": answer.new,
        "click": str(answer.click_id) if answer.click_id else None,
        "link": answer.link,
        "pixel": answer.pixel,
        "ignored": list(answer.ignored),
    }


def _content(body: ConversionBody) -> Content:
    return Content(
        contents=[
            Item(id=item.id, quantity=item.quantity, item_price=item.item_price)
            for item in body.contents or ()
        ],
        content_name=body.content_name,
        content_category=body.content_category,
        content_type=body.content_type,
        num_items=body.num_items,
    )


def _person(body: ConversionBody) -> Mapping[str, str]:
    given = {name: getattr(body, name) for name in PERSON_FIELDS}
    return {name: text for name, text in given.items() if text is not None}
