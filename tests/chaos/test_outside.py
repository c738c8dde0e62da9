"""The outside of a stage: a Meta and a Telegram that can be broken, people who press START, and who judges what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from backends.sql.engine import make_engine
from backends.sql.migrate import migrate
from backends.sql.schema import outbox
from chaos.catalogue import experiments
from chaos.checker.held import Held, Row
from chaos.checker.meta import AtMeta, Report, check_meta, event_id
from chaos.checker.outbox import read_reports
from chaos.checker.telegram import check_telegram
from chaos.checker.tokens import read
from chaos.crowd.plan import Plan
from chaos.crowd.told import Clicked, Notebook, Tail
from chaos.faults import make_fault
from chaos.matrix import MATRIX
from chaos.stage.home import BOT, PIXEL
from chaos.stage.meta import MetaServer
from chaos.stage.people import EACH, FIRST_PERSON, WHICH, People
from chaos.stage.spec import StageSpec
from chaos.stage.stage import Stage
from chaos.stage.telegram import TelegramServer
from domain.conversions import click_event_id
from tests.making import PATIENT
from tests.meta.events import good_event

CLICK, OTHER = "01a20baea1e37790b183c0ad0e751497", "01a20baea1e37790b183c0ad0e751498"
EVENTS = ("ViewContent",)
NOW = 1_790_000_000.0
DAY = 86_400.0


# ---------------------------------------------------------------- Meta's part of the checker


def held(**owners: int | None) -> Held:
    """Clicks by id, each with its owner."""
    rows = {
        click: Row(ad_key="", params={}, owner=owner and (1, owner), has_click=True, erased=False)
        for click, owner in owners.items()
    }
    return Held(clicks=rows)


def report(click: str = CLICK, **changes: Any) -> Report:
    given = {"event_id": event_id(click, "ViewContent"), "event": "ViewContent", "click": click}
    return Report(**given | {"state": "sent", "at": NOW} | changes)


def at_meta(*clicks: str, faulty: tuple[str, ...] = ()) -> AtMeta:
    return AtMeta(accepted={event_id(click, "ViewContent"): 1 for click in clicks}, faulty=faulty)


def broken(
    state: Held, reports: list[Report], meta: AtMeta, *, final: bool = True, erased: tuple[str, ...] = ()
) -> dict[str, int]:
    found = check_meta(state, reports, meta, events=EVENTS, erased=erased, now=NOW, final=final)
    counts = {name: getattr(found, name).count for name in found.__slots__}
    return {name: count for name, count in counts.items() if count}


def test_an_events_id_is_the_products() -> None:
    assert event_id(CLICK, "ViewContent") == str(click_event_id(UUID(CLICK), "ViewContent"))


def test_an_event_that_is_at_meta_breaks_nothing() -> None:
    assert broken(held(**{CLICK: 42, OTHER: None}), [report()], at_meta(CLICK)) == {}


def test_an_event_that_ended_for_a_reason_breaks_nothing() -> None:
    refused = report(state="rejected", reason="This event cannot be accepted.", code="100")
    meta = at_meta(faulty=(refused.event_id,))
    assert broken(held(**{CLICK: 42}), [refused], meta) == {}
    late = report(state="dead", reason="older than 7 days", at=NOW - 8 * DAY)
    assert broken(held(**{CLICK: 42}), [late], at_meta()) == {}


@pytest.mark.parametrize("reports", [[], [report(state="pending")]], ids=["nowhere", "pending"])
def test_an_owned_clicks_event_that_never_arrives_is_missing(reports: list[Report]) -> None:
    assert broken(held(**{CLICK: 42}), reports, at_meta()) == {"missing": 1}


def test_what_waits_is_not_missing_while_the_crowd_clicks() -> None:
    waiting = [report(state="pending")]
    assert broken(held(**{CLICK: 42}), waiting, at_meta(), final=False) == {}


def test_an_event_of_nobodys_click_is_unknown() -> None:
    assert broken(held(**{OTHER: None}), [], at_meta(CLICK)) == {"unknown": 1}
    assert broken(held(**{CLICK: None}), [report()], at_meta(CLICK)) == {"unknown": 1}


def test_an_event_that_was_sent_before_its_click_was_erased_is_known() -> None:
    assert broken(held(), [], at_meta(CLICK), erased=(CLICK,)) == {}


def test_an_event_called_sent_that_meta_has_not_got_is_silent_and_missing() -> None:
    assert broken(held(**{CLICK: 42}), [report()], at_meta()) == {"missing": 1, "silent": 1}


@pytest.mark.parametrize("state", ["dead", "skipped"])
def test_an_event_that_ended_without_a_reason_is_silent(state: str) -> None:
    assert broken(held(**{CLICK: 42}), [report(state=state)], at_meta()) == {"silent": 1}


def test_an_event_rejected_for_another_ones_fault_is_wronged() -> None:
    beside = report(state="rejected", reason="This event cannot be accepted.")
    assert broken(held(**{CLICK: 42}), [beside], at_meta(faulty=("another",))) == {"wronged": 1}


def test_an_event_given_up_before_its_time_is_wronged() -> None:
    young = report(state="dead", reason="older than 7 days", at=NOW - 6 * DAY)
    assert broken(held(**{CLICK: 42}), [young], at_meta()) == {"wronged": 1}


async def test_the_outbox_is_read_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'trilha.db'}"
    engine = make_engine(url, patience=PATIENT)
    at_ms = round(NOW * 1000) + 250
    row = {"event": "ViewContent", "event_at": at_ms, "next_at": at_ms, "click_id": UUID(CLICK)}
    row |= {
        "event_id": UUID(event_id(CLICK, "ViewContent")),
        "state": "rejected",
        "reason": "no",
        "code": "100",
    }
    try:
        await migrate(engine)
        async with engine.begin() as connection:
            await connection.execute(
                outbox.insert(), [row | {"lane": f"meta/{PIXEL}"}, row | {"lane": "webhook/shop"}]
            )
    finally:
        await engine.dispose()
    assert read_reports(url) == [
        report(state="rejected", reason="no", code="100", at=at_ms / 1000, next_at=at_ms / 1000)
    ]


# ---------------------------------------------------------------- Telegram's part


def token_of(number: int) -> str:
    """As long as one, and with a click id of its own."""
    return f"AAAAAAAB{number:022d}" + "A" * 32


def answers(owner: int | None, sent: list[int], *, erased: bool = False) -> dict[str, int]:
    """Person 42 pressed START."""
    token = token_of(1)
    click = read(token).click
    found = check_telegram(held(**{click: owner}), [(42, token)], sent, erased=(click,) if erased else ())
    counts = {name: getattr(found, name).count for name in found.__slots__}
    return {name: count for name, count in counts.items() if count}


def test_whoever_owns_their_click_and_was_answered_once_breaks_nothing() -> None:
    assert answers(42, [42]) == {}
    assert answers(None, [42], erased=True) == {}


@pytest.mark.parametrize("owner", [None, 43], ids=["nobody's", "another's"])
def test_a_start_whose_click_is_not_its_persons_is_lost(owner: int | None) -> None:
    assert answers(owner, [42]) == {"lost": 1}


def test_a_second_answer_no_answer_and_an_answer_to_a_stranger_are_seen() -> None:
    assert answers(42, [42, 42]) == {"twice": 1}
    assert answers(42, []) == {"unanswered": 1}
    assert answers(42, [42, 43]) == {"strangers": 1}


# ---------------------------------------------------------------- the people


def clicked(number: int, status: int = 302) -> Clicked:
    token = token_of(number) if status == 302 else ""
    return Clicked(number=number, at=0.0, ms=1.0, late_ms=0.0, status=status, token=token)


def write(file: Path, *clicks: Clicked) -> None:
    with closing(Notebook(file)) as notebook:
        for click in clicks:
            notebook.clicked(click)


def test_a_tail_gives_each_click_once_and_half_a_line_later(tmp_path: Path) -> None:
    file = tmp_path / "told.jsonl"
    tail = Tail(file)
    assert tail.clicks() == []
    write(file, clicked(1))
    assert [click.number for click in tail.clicks()] == [1]
    line = json.dumps(["click", {name: getattr(clicked(2), name) for name in Clicked.__slots__}])
    with file.open("a") as rest:
        rest.write(line[:40])
    assert tail.clicks() == []
    with file.open("a") as rest:
        rest.write(line[40:] + "\n")
    assert [click.number for click in tail.clicks()] == [2]
    assert tail.clicks() == []


def test_nobody_presses_start_at_both_the_api_and_telegram() -> None:
    plan = Plan(public=[], private=[], api_key="", slug="", bot="")
    assert not any(number % EACH == WHICH for number in range(0, 1000, plan.start_each))


# ---------------------------------------------------------------- real servers


@pytest.fixture(scope="module")
def meta() -> Iterator[MetaServer]:
    with MetaServer() as server:
        yield server


@pytest.fixture(scope="module")
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server


@pytest.fixture
def stage(meta: MetaServer, telegram: TelegramServer) -> Iterator[Stage]:
    """With nothing but its outside, which is well at the start and at the end."""
    made = Stage(StageSpec(meta=True, bot=True))
    made.meta, made.telegram = meta, telegram
    yield made
    meta.order("clear")
    made.take_down()


def sent_to(meta: MetaServer, event: str = "one") -> str:
    """What becomes of a call with one event: `taken`, the status of a refusal, or `nothing`."""
    url = f"{meta.settings['TRILHA_META_URL']}/v26.0/{PIXEL}/events"
    headers = {"authorization": f"Bearer {meta.token}"}
    try:
        answer = httpx2.post(url, json={"data": [good_event(event_id=event)]}, headers=headers, timeout=0.5)
    except httpx2.TransportError:
        return "nothing"
    return "taken" if answer.status_code == 200 else str(answer.status_code)


@pytest.mark.parametrize(
    ("fault", "arguments", "felt"),
    [
        ("meta_throttled", {}, "429"),
        ("meta_throttled", {"code": 4}, "400"),
        ("meta_failing", {"how": "503"}, "503"),
        ("meta_hang", {}, "nothing"),
        ("meta_lost_answers", {}, "nothing"),
    ],
)
def test_a_fault_of_metas_is_felt_until_it_is_mended(
    stage: Stage, meta: MetaServer, fault: str, arguments: dict[str, Any], felt: str
) -> None:
    made = make_fault(fault, arguments)
    made.begin(stage)
    assert sent_to(meta, fault) == felt
    made.end(stage)
    made.end(stage)
    assert sent_to(meta, fault) == "taken"
    assert meta.accepted()[fault] >= 1


def test_what_meta_took_and_refused_is_known(stage: Stage, meta: MetaServer) -> None:
    assert [sent_to(meta, "again"), sent_to(meta, "again")] == ["taken", "taken"]
    assert meta.accepted()["again"] == 2
    fault = make_fault("meta_bad_event", {"each": 1})
    fault.begin(stage)
    fault.end(stage)
    assert sent_to(meta, "bad") == "400"
    assert "bad" in meta.faulty()
    assert "bad" not in meta.accepted()


def test_a_renewed_token_opens_the_pixel_and_the_old_one_does_not(meta: MetaServer) -> None:
    meta.order("revoke", pixel=PIXEL)
    assert sent_to(meta) == "400"
    meta.renew()
    assert sent_to(meta) == "taken"


def test_whoever_was_sent_on_presses_start_once(telegram: TelegramServer, tmp_path: Path) -> None:
    write(tmp_path / "told.jsonl", *(clicked(n, 302 if n != WHICH else 503) for n in range(30)))
    people = People(telegram, tmp_path / "told.jsonl")
    people.start()
    people.stop()
    assert [each.person for each in people.pressed] == [FIRST_PERSON + WHICH + 10, FIRST_PERSON + WHICH + 20]
    assert [each.token for each in people.pressed] == [token_of(15), token_of(25)]
    assert (people.waiting, telegram.sent()) == (0, [])


def test_people_whom_telegram_does_not_hear_go_on_waiting(tmp_path: Path) -> None:
    away = TelegramServer()
    write(tmp_path / "told.jsonl", clicked(WHICH))
    people = People(away, tmp_path / "told.jsonl")
    people.start()
    people.stop()
    assert (people.pressed, people.waiting) == ([], 1)
    away.close()


@pytest.mark.parametrize(
    "fault",
    [
        *("telegram_flood_wait", "telegram_drop", "telegram_unreachable", "telegram_silent"),
        "telegram_lost_answers",
    ],
)
def test_a_fault_of_telegrams_is_understood_by_it(stage: Stage, telegram: TelegramServer, fault: str) -> None:
    made = make_fault(fault, {})
    made.begin(stage)
    made.end(stage)
    made.end(stage)
    assert telegram.order("online", bot=BOT) == {"online": 0}


def test_a_move_that_the_bot_never_makes_fails_its_drill(
    stage: Stage, telegram: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos.faults.telegram_migration.SECONDS", 0.1)
    moved = make_fault("telegram_migration", {"dc": 3})
    moved.begin(stage)
    assert telegram.order("migrating", bot=BOT) == {"dc": 3}
    with pytest.raises(TimeoutError):
        moved.end(stage)


def test_an_order_that_is_refused_is_an_error(meta: MetaServer, telegram: TelegramServer) -> None:
    with pytest.raises(OSError, match="does not understand faults"):
        meta.trouble("earthquake")
    with pytest.raises(OSError, match="there is no order earthquake"):
        telegram.order("earthquake")


def test_a_fault_on_a_stage_without_its_server_says_so() -> None:
    stage = Stage(StageSpec())
    for name, missing in (("meta_hang", "no Meta"), ("telegram_drop", "no Telegram")):
        with pytest.raises(RuntimeError, match=missing):
            make_fault(name, {}).begin(stage)
    stage.take_down()


# ---------------------------------------------------------------- the experiments


@pytest.mark.parametrize("tier", ["meta", "telegram"])
def test_every_fault_of_the_tier_has_a_drill(tier: str) -> None:
    covered = {each for experiment in experiments() for each in experiment.covers}
    wanted = {row.id for row in MATRIX if row.id.startswith(f"{tier}.") and not row.absent}
    assert wanted <= covered
