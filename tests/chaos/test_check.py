"""The checker is red for each thing that can be wrong, and for that alone."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from chaos.checker.check import Erased, Findings, check
from chaos.checker.held import Figures, Held, Row
from chaos.checker.tokens import read
from chaos.crowd.plan import campaign, creative
from chaos.crowd.told import Clicked, Started, Told

EVENTS = ("ViewContent",)
LANE = "meta/1234567890"
BOT, MARIA, JOSE = 1, 5_000_000_001, 5_000_000_002


def token(number: int) -> str:
    """A token as the daemon makes them, of click `number`, whose ad is its own."""
    raw = bytes(6) + number.to_bytes(16, "big") + ad_key(number) + bytes(16)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def ad_key(number: int) -> bytes:
    return (1000 + number).to_bytes(8, "big")


def click_id(number: int) -> str:
    return f"{number:032x}"


def clicked(number: int) -> Clicked:
    return Clicked(number=number, at=float(number), ms=2.0, late_ms=0.1, status=302, token=token(number))


def started(number: int, person: int, *, owner: bool, at: float = 50.0, state: str = "settled") -> Started:
    return Started(at=at, ms=3.0, token=token(number), person=person, status=200, owner=owner, state=state)


def row(number: int, owner: int | None = None) -> Row:
    return Row(
        ad_key=ad_key(number).hex(),
        params={"utm_campaign": campaign(number), "utm_content": creative(number)},
        owner=None if owner is None else (BOT, owner),
        has_click=True,
        erased=False,
    )


def day() -> tuple[Told, Held]:
    """Three clicks, the first of which Maria has started: all as it should be."""
    told = Told(clicks=[clicked(n) for n in range(3)], starts=[started(0, MARIA, owner=True)])
    held = Held(
        clicks={click_id(0): row(0, MARIA), click_id(1): row(1), click_id(2): row(2)},
        ads={ad_key(n).hex(): (campaign(n), creative(n)) for n in range(3)},
        outbox=[(click_id(0), "ViewContent", LANE)],
        books=Figures(issued=3, synced=3, spooled=3, settled=3),
    )
    return told, held


def red(told: Told, held: Held, **more: object) -> dict[str, int]:
    findings = check(told, held, events=EVENTS, **more)  # type: ignore[arg-type]
    counts = {name: getattr(findings, name).count for name in Findings.__slots__}
    return {name: count for name, count in counts.items() if count}


def test_a_day_without_trouble_is_green() -> None:
    assert red(*day()) == {}


def test_a_token_is_read_as_the_reference_says() -> None:
    assert read(token(7)) == read(token(7))
    assert (read(token(7)).click, read(token(7)).ad_key) == (click_id(7), ad_key(7).hex())
    with pytest.raises(ValueError, match="62 characters"):
        read("short")


def test_an_acknowledged_click_that_is_nowhere_is_lost() -> None:
    told, held = day()
    del held.clicks[click_id(2)]
    assert red(told, held) == {"acked_lost": 1}


def test_under_load_a_click_may_still_wait_in_a_spool_and_afterwards_it_may_not() -> None:
    told, held = day()
    del held.clicks[click_id(2)]
    assert red(told, held, until=60.0) == {"acked_lost": 1}
    held.spooled = b"before" + bytes.fromhex(click_id(2)) + b"after"
    assert red(told, held, until=60.0) == {}
    assert red(told, held) == {"acked_lost": 1}


def test_a_click_that_was_never_acknowledged_is_not_lost_but_only_its_token_knows_it() -> None:
    told, held = day()
    del held.clicks[click_id(2)]
    held.books = Figures(issued=3, synced=2, token_only=1, spooled=2, settled=2)
    assert red(told, held) == {"unacked": 1}


def test_more_missing_than_were_token_only_is_lost() -> None:
    told, held = day()
    del held.clicks[click_id(1)], held.clicks[click_id(2)]
    held.books = Figures(issued=3, synced=2, token_only=1, spooled=1, settled=1)
    assert red(told, held) == {"acked_lost": 1, "unacked": 1}


def test_a_row_that_only_knows_its_start_has_not_its_click() -> None:
    told, held = day()
    held.clicks[click_id(1)] = replace(row(1), has_click=False)
    assert red(told, held) == {"acked_lost": 1}


def test_two_who_were_told_that_it_is_theirs_are_two_owners() -> None:
    told, held = day()
    told.starts.append(started(0, JOSE, owner=True))
    assert red(told, held) == {"double_owner": 1}


def test_another_owner_in_sql_than_was_told_is_two_owners() -> None:
    told, held = day()
    held.clicks[click_id(0)] = row(0, JOSE)
    assert red(told, held) == {"double_owner": 1}


def test_an_owner_who_is_told_that_it_is_anothers_is_seen() -> None:
    told, held = day()
    told.starts.append(started(0, MARIA, owner=False))
    assert red(told, held) == {"double_owner": 1}


def test_a_deferred_start_owns_nothing_yet_so_that_another_may_win() -> None:
    told, held = day()
    told.starts.append(started(0, JOSE, owner=False, state="deferred"))
    assert red(told, held) == {}


def test_a_start_that_was_taken_and_whose_click_nobody_owns_is_lost() -> None:
    told, held = day()
    told.starts.append(started(1, JOSE, owner=False, state="deferred"))
    assert red(told, held) == {"lost_starts": 1}


def test_an_erased_click_that_is_won_or_has_its_facts_again_is_resurrected() -> None:
    told, held = day()
    erased = Erased(clicks={click_id(0)}, at=60.0)
    held.clicks[click_id(0)] = replace(row(0), erased=True, params={})
    held.outbox = []
    assert red(told, held, erased=erased) == {}
    told.starts.append(started(0, JOSE, owner=True, at=70.0))
    assert red(told, held, erased=erased) == {"resurrected": 1}
    told.starts.pop()
    held.clicks[click_id(0)] = row(0)
    assert red(told, held, erased=erased) == {"resurrected": 1}


def test_a_click_that_nobody_made_is_invented() -> None:
    told, held = day()
    held.clicks[click_id(9)] = row(9)
    held.books = Figures(issued=4, synced=4, spooled=4, settled=4)
    assert red(told, held) == {"invented": 1}


def test_a_click_whose_answer_nobody_heard_is_not_invented() -> None:
    told, held = day()
    held.clicks[click_id(9)] = row(9)
    held.books = Figures(issued=4, synced=4, spooled=4, settled=4)
    told.clicks.append(replace(clicked(9), status=0, token="", trouble="reset"))
    assert red(told, held) == {}


def test_a_click_that_is_stored_with_another_ad_is_invented() -> None:
    told, held = day()
    held.clicks[click_id(1)] = replace(row(1), params={"utm_campaign": "other"})
    assert red(told, held) == {"invented": 1}
    held.clicks[click_id(1)] = replace(row(1), ad_key=ad_key(2).hex())
    assert red(told, held) == {"invented": 1}
    held.clicks[click_id(1)] = row(1)
    held.ads[ad_key(1).hex()] = ("Campanha 7", "other")
    assert red(told, held) == {"invented": 1}


def test_a_conversion_that_is_there_twice_missing_or_without_an_owner_is_seen() -> None:
    told, held = day()
    held.outbox = held.outbox * 2
    assert red(told, held) == {"double_effects": 1}
    held.outbox = []
    assert red(told, held) == {"missing_effects": 1}
    held.outbox = [(click_id(0), "ViewContent", LANE), (click_id(1), "ViewContent", LANE)]
    assert red(told, held) == {"missing_effects": 1}


@pytest.mark.parametrize(
    "books",
    [
        Figures(issued=2, synced=2, spooled=3, settled=3),
        Figures(issued=3, synced=2, spooled=3, settled=3),
        Figures(issued=3, synced=3, spooled=4, settled=3),
    ],
)
def test_books_that_do_not_balance_are_seen(books: Figures) -> None:
    told, held = day()
    held.books = books
    assert red(told, held) == {"unbalanced": 1}


def test_receipts_that_died_with_their_daemon_do_not_unbalance_the_books() -> None:
    told, held = day()
    held.books = Figures(issued=2, synced=2, spooled=3, settled=3)
    assert red(told, held, receipts_lost=True) == {}


def test_while_the_crowd_clicks_only_what_was_told_some_time_ago_has_to_be_there() -> None:
    told, held = day()
    del held.clicks[click_id(2)]
    assert red(told, held, until=2.0) == {}
    assert red(told, held, until=2.1) == {"acked_lost": 1}


def test_a_click_whose_only_copy_was_damaged_is_not_expected_and_every_other_is() -> None:
    told, held = day()
    del held.clicks[click_id(1)]
    held.books = Figures(issued=3, synced=3, spooled=3, settled=2)
    assert red(told, held, damaged={click_id(1)}) == {}
    assert red(told, held) == {"acked_lost": 1, "unbalanced": 1}
    del held.clicks[click_id(2)]
    assert red(told, held, damaged={click_id(1)}) == {"acked_lost": 1}


def test_the_books_must_miss_what_was_damaged() -> None:
    """A damaged click that is counted as settled all the same is one that the books have made up."""
    told, held = day()
    assert red(told, held, damaged={click_id(1)}) == {"unbalanced": 1}
