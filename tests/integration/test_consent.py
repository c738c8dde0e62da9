"""What people have asked for holds against delivery: no sharing (Sec-GPC), and erasure; with the real worker and commands."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.business import ANA, BIA, HOUR, Business, in_business

GPC = "the visitor asked for no sharing (Sec-GPC)"
EMAIL = "ana.souza@padaria.com.br"
OF_A_PERSON = ("bot_id", "telegram_id", "order_id", "custom", "person")


def outcomes(rows: list[Any]) -> set[tuple[str, str | None]]:
    return {(row.state, row.reason) for row in rows}


def seen_by_meta(shop: Business) -> set[str]:
    """The ids of all events that ever came in a call that Meta took."""
    return {number for _, _, number in shop.meta.received}


async def all_over(shop: Business) -> list[Any]:
    """The rows, once nothing waits."""
    return await shop.until(lambda rows: bool(rows) and all(row.state != "pending" for row in rows))


@pytest.mark.parametrize("honoured", [True, False])
async def test_a_click_with_sec_gpc_is_reported_unless_the_operator_honours_it(
    tmp_path: Path, honoured: bool
) -> None:
    """Honoured: every event of the click is skipped with that reason, and Meta never sees one. Else all are sent."""
    async with in_business(tmp_path, honour_gpc=honoured) as shop:
        async with shop.site.running() as door:
            ana = await shop.came(door, **{"Sec-GPC": "1"})
            await shop.sold(door)
            await shop.lead(door, token=ana)
            bia = await shop.came(door, BIA)
            await shop.sold(door, telegram_id=BIA)
            async with shop.worker():
                rows = await all_over(shop)
        of_ana = [row for row in rows if row.click_id == shop.site.read(ana).id]
        of_bia = [row for row in rows if row.click_id == shop.site.read(bia).id]
        assert (len(of_ana), len(of_bia)) == (4, 3)
        assert outcomes(of_ana) == {("skipped", GPC) if honoured else ("sent", None)}
        assert outcomes(of_bia) == {("sent", None)}
        expected = of_bia if honoured else rows
        assert seen_by_meta(shop) == {str(row.event_id) for row in expected}
        told = [row for row in (await shop.trilha_json("outbox", "list"))["deliveries"] if row["reason"]]
        assert len(told) == (4 if honoured else 0)


@pytest.mark.parametrize("tried", [False, True])
async def test_somebody_erased_between_start_and_delivery_is_never_sent_and_no_row_names_them(
    tmp_path: Path, tried: bool
) -> None:
    """Whether nothing was tried yet or Meta had failed before: by `trilha privacy erase`, for good, and nobody else's."""
    async with in_business(tmp_path) as shop:
        async with shop.site.running() as door:
            await shop.sold(door)  # as long as no click of hers is known, it is nobody's
            ana = await shop.came(door)
            order = {"order_id": "ORDER-OF-ANA", "email": EMAIL, "content_name": "Curso da Ana"}
            await shop.sold(door, **order)
            await shop.sold(door, token=ana)
            await shop.lead(door, telegram_id=ANA, email=EMAIL)
            await shop.came(door, BIA)
            await shop.sold(door, telegram_id=BIA)
            if tried:
                await shop.meta.go_down()
                await shop.turn()
                await shop.meta.come_up()
            await shop.trilha("privacy", "erase", "--telegram-id", "-", said=f"{ANA}\n")
            shop.clock.advance(HOUR)
            async with shop.worker():
                rows = await all_over(shop)
            await shop.turn(HOUR)
        erased = [row for row in rows if row.state != "sent"]
        assert outcomes(erased) == {("skipped", "erased")}
        assert (len(erased), len(rows)) == (6, 9)
        assert {tuple(getattr(row, name) for name in OF_A_PERSON) for row in erased} == {(None,) * 5}
        assert seen_by_meta(shop) == {str(row.event_id) for row in rows if row.state == "sent"}
        assert {body["user_data"]["external_id"][0] for body in shop.meta.accepted.values()} == {
            shop.keyring.external_id(BIA)
        }
        kept = b"".join(path.read_bytes() for path in sorted((tmp_path / "sql").iterdir()))
        for text in (order["order_id"], order["content_name"], sha256(EMAIL.encode()).hexdigest()):
            assert text.encode() not in kept
        assert str(ANA) not in repr(rows)
