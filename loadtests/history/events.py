"""What follows from a start: its ViewContent, for some a Purchase, and what became of each on its way."""

from __future__ import annotations

from random import Random
from typing import Any

from loadtests.history.catalog import WEBHOOK, Ad
from loadtests.history.ids import dashed, event_id
from loadtests.history.plan import DAY_MS, MINUTE_MS, History
from loadtests.history.stamp import stamp

COLUMNS = (
    "event_id", "lane", "event", "event_at", "click_id", "link_id", "ad_key", "bot_id", "telegram_id", "value", "currency",
    "order_id", "state", "reason", "code", "attempts", "next_at", "sent_at", "matched",
)  # fmt: skip
BUYERS = 0.04
PRICES = (19_900_000, 29_900_000, 47_000_000, 67_000_000, 97_000_000, 197_000_000, 297_000_000)
SHARES = (30, 26, 18, 10, 9, 5, 2)
WAITING_MS = 3 * MINUTE_MS
"""What is younger may still be pending."""
_MATCHED = "client_ip_address client_user_agent fbc fbp external_id"
_ENDS: tuple[tuple[str, str | None, str | None], ...] = (
    ("sent", None, None),
    ("rejected", "Invalid fbclid: the click id is not known", "100/2804001"),
    ("rejected", "Invalid parameter: user_data", "100"),
    ("dead", "older than 7 days", None),
    ("skipped", "the visitor asked for no sharing (Sec-GPC)", None),
    ("skipped", "the visit is of the class unknown", None),
)
_END_SHARES = (97.2, 0.7, 0.3, 0.4, 0.5, 0.9)
_NO_PIXEL = ("skipped", "the link has no pixel", None)
_NOBODYS = ("skipped", "no click of this person is known", None)


class Events:
    """Makes rows of `outbox`. Their ids are the product's own, so that nothing is reported twice by whoever looks again."""

    def __init__(self, history: History, rng: Random) -> None:
        self._history = history
        self._rng = rng

    def of_start(self, ad: Ad, click: str, bot: int, started: int, *, erased: bool) -> list[tuple[Any, ...]]:
        """The rows of one start that won its click. An erased person's say nothing but what became of them."""
        view = event_id(f"{dashed(click)}/ViewContent")
        rows = [self._row(ad, click, view, "ViewContent", started, (None, None, None), ad.link.lane)]
        if self._rng.random() < BUYERS:
            rows += self._purchase(ad, click, bot, started, erased=erased)
        return rows

    def of_nobody(self, bot: int, person: int, at: int) -> list[tuple[Any, ...]]:
        """A sale to a person whom no click has brought: for nowhere."""
        order = f"{self._rng.getrandbits(40):010x}"
        made = event_id(f"{bot}/Purchase/order/{order}")
        return [
            self._written(
                made, "", "Purchase", at, (None, None, None, bot, person), self._price("BRL", order), _NOBODYS
            )
        ]

    def _purchase(self, ad: Ad, click: str, bot: int, started: int, *, erased: bool) -> list[tuple[Any, ...]]:
        at = started + int(self._rng.lognormvariate(6.5, 1.6) * 1000)
        if at >= self._history.until_ms:
            return []
        order = f"{self._rng.getrandbits(40):010x}"
        made = event_id(f"{bot}/Purchase/order/{order}")
        price = self._price(ad.link.currency, None if erased else order)
        rows = [self._row(ad, click, made, "Purchase", at, price, ad.link.lane)]
        if at - self._history.since_ms > self._history.days * DAY_MS // 3:  # when the webhook was added
            rows.append(self._row(ad, click, made, "Purchase", at, price, f"webhook/{WEBHOOK}"))
        return rows

    def _price(self, currency: str, order: str | None) -> tuple[Any, ...]:
        return (self._rng.choices(PRICES, SHARES)[0], currency, order)

    def _row(
        self, ad: Ad, click: str, made: str, event: str, at: int, money: tuple[Any, ...], lane: str
    ) -> tuple[Any, ...]:
        whose = (click, ad.link.id, ad.key, None, None)
        return self._written(made, lane, event, at, whose, money, self._end(lane, at))

    def _end(self, lane: str, at: int) -> tuple[str, str | None, str | None]:
        if not lane:
            return _NO_PIXEL
        if self._history.until_ms - at < WAITING_MS and self._rng.random() < 0.5:
            return ("pending", None, None)
        if lane.startswith("webhook/"):
            return _ENDS[0]
        return self._rng.choices(_ENDS, _END_SHARES)[0]

    def _written(
        self,
        made: str,
        lane: str,
        event: str,
        at: int,
        whose: tuple[Any, ...],
        money: tuple[Any, ...],
        end: tuple[str, str | None, str | None],
    ) -> tuple[Any, ...]:
        state, reason, code = end
        at_text = stamp(at)
        sent = (
            stamp(min(at + self._rng.randint(200, 9000), self._history.until_ms)) if state == "sent" else None
        )
        return (
            made, lane, event, at_text, *whose, *money, state, reason, code,
            int(state in {"sent", "rejected"}), at_text, sent, _MATCHED if sent and lane.startswith("meta/") else None,
        )  # fmt: skip
